// What report.html can do beyond being read: sort tables, open figures large. It says nothing of its own.
"use strict";

function sortKey(cell) {
  if (!cell) return null;
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  return cell.textContent.trim().toLowerCase();
}

function compare(one, other) {
  if (one === other) return 0;
  if (one === null || one === "") return 1;
  if (other === null || other === "") return -1;
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "number") return -1; // numbers before words such as "not run"
  if (typeof other === "number") return 1;
  return one.localeCompare(other, "en", { numeric: true });
}

function sortBy(table, heading, column) {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map((row) => [sortKey(row.cells[column]), row]);
  rows.sort((one, other) => (up ? 1 : -1) * compare(one[0], other[0]));
  rows.forEach(([, row]) => body.append(row));
  table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
}

// The column of each heading, with headings that span rows and columns.
function columnsOf(table) {
  const taken = [];
  const found = new Map();
  Array.from(table.tHead.rows).forEach((row, y) => {
    let x = 0;
    Array.from(row.cells).forEach((cell) => {
      while (taken[y] && taken[y][x]) x += 1;
      found.set(cell, x);
      for (let down = 0; down < cell.rowSpan; down += 1) {
        taken[y + down] = taken[y + down] || [];
        for (let right = 0; right < cell.colSpan; right += 1) taken[y + down][x + right] = true;
      }
      x += cell.colSpan;
    });
  });
  return found;
}

document.querySelectorAll("table").forEach((table) => {
  columnsOf(table).forEach((column, heading) => {
    if (!heading.dataset.sort || table.tBodies[0].rows.length < 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, heading, column));
  });
});

function openLarge(link) {
  const picture = link.querySelector("img");
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", link.dataset.title);
  const tools = document.createElement("div");
  tools.className = "tools";
  const large = picture.cloneNode();
  let width = Math.max(picture.clientWidth, window.innerWidth - 40);
  const resize = (factor) => {
    width *= factor;
    large.style.width = `${width}px`;
  };
  const actions = { Close: () => dialog.close(), Larger: () => resize(1.4), Smaller: () => resize(1 / 1.4) };
  Object.entries(actions).forEach(([name, act]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", act);
    tools.append(button);
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "+") resize(1.4);
    if (event.key === "-") resize(1 / 1.4);
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.focus();
  });
  dialog.append(tools, large);
  document.body.append(dialog);
  resize(1);
  dialog.showModal();
}

document.querySelectorAll("a.zoom").forEach((link) => {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // to open it in a tab of its own
    event.preventDefault();
    openLarge(link);
  });
});
