"""The check of the data sets in words."""

from __future__ import annotations

from collections.abc import Iterator

STATES = {
    "mirror": "in {where}",
    "fetched": "fetched ({where})",
    "bucket": "will be copied from {where}",
    "download": "will be downloaded from {where}",
    "stand-in": "STAND-IN: {where}, since no mirror has the archive",
    "plug-in": "{where}",
    "missing": "MISSING: {problem}",
}
OFFICIAL = {
    True: "the official archive",
    False: "not the complete official archive",
    None: "its hash was not compared",
}


def check_text(found: dict) -> str:
    """Write what `check_datasets` found, one block a source, the way out of problems last."""
    lines = [f"Data sets of the run “{found['name']}” (results in {found['root']})", ""]
    needed = {entry["source"] for entry in found["datasets"].values() if entry["needed"]}
    for name in sorted(found["sources"], key=lambda name: name not in needed):
        lines += _source(name, found["sources"][name])
        for own, dataset in found["datasets"].items():
            if dataset["source"] == name:
                lines.append(f"    {own:<20} {_dataset(dataset)}")
        lines.append("")
    lines += _disk(found["disk"])
    lines += ["", *(found["problems"] or ["Everything that the run needs is there or can be got."])]
    return "\n".join(lines) + "\n"


def _source(name: str, source: dict) -> Iterator[str]:
    problem = (source["problem"] or "").split(". ")[0]  # the rest is told at the end
    yield f"{name}: {STATES[source['state']].format(where=source['where'], problem=problem)}"
    if source["files"] and source["state"] in ("mirror", "fetched", "bucket"):
        files = source["files"].values()
        known = f"; {OFFICIAL[_together(files)]}" if source["licence"] else ""
        yield f"  {size_text(sum(f['size'] for f in files))}{known}"
    elif source["official_bytes"] and source["state"] != "stand-in":
        yield f"  {size_text(source['official_bytes'])} to get"
    if source["licence"] and source["state"] != "stand-in":
        yield f"  licence: {source['licence']} ({source['terms']})"
        yield f"  to accept: {source['accept']}; {source['page']}"


def _together(files: object) -> bool | None:
    matches = [file["official"] for file in files]
    return False if False in matches else None if None in matches else True


def _dataset(dataset: dict) -> str:
    unused = "" if dataset["needed"] else "; the report does not need it"
    if dataset["built"]:
        images = ", ".join(f"{split} {count:,}" for split, count in dataset["images"].items())
        return f"built: {images} images, {size_text(dataset['bytes'])}{unused}"
    size = "size unknown" if dataset["bytes"] is None else f"about {size_text(dataset['bytes'])}"
    return f"not built, {size}{unused}"


def _disk(disk: dict[str, int]) -> Iterator[str]:
    yield (
        f"Disk: archives to fetch {size_text(disk['archives'])}, sets to build about "
        f"{size_text(disk['sets'])} (an estimate), free {size_text(disk['free'])}."
    )


def size_text(number: int) -> str:
    """Write a number of bytes: "147.9 GB"."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1000:.1f} kB" if number else "nothing"
