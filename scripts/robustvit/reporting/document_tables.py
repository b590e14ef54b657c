"""The report's simple tables: experiments, data sets, protocols, checks, stages, cost, origins."""

from __future__ import annotations

from robustvit.reporting.blocks import cell, table
from robustvit.reporting.selection import CHOSEN

STAND_IN, INCOMPLETE, WEAKENED = "stand-in", "incomplete", "weakened"
TONES = {"failed": "bad", "passed": "good"}


def experiments_table(rows: list[dict]) -> dict:
    """What each model was trained on, against which perturbations, and how."""
    columns = [
        ("Experiment", "left", "1.6fr"),
        ("Model", "left", "1.1fr"),
        ("Data set", "left", "1.2fr"),
        ("Trained against", "left", "auto"),
        ("Recipe", "left", "1.1fr"),
        ("Starts from", "left", "1.2fr"),
    ]
    caption = "Experiments: what each model was trained on, against which perturbations, and how."
    if any(CHOSEN in row["trained"] for row in rows):
        caption += f" {CHOSEN} marks weights of the epoch that did best on evaluation images."
    keys = ("model", "dataset", "threat", "trained", "init")
    cells = [[cell(e["label"], small=[e["training"]]), *(cell(e[k]) for k in keys)] for e in rows]
    return table("experiments", caption, columns, cells)


def datasets_table(rows: list[dict]) -> dict:
    """The data sets with their images per split."""
    caption = "Data sets, each built as a TFDS set, with the number of images per split."
    if any(row["stand_in"] for row in rows):
        caption += (
            f" “{STAND_IN}” marks a set whose original archive was not at hand: other photographs "
            "take its place, so its results say nothing about the original."
        )
    if any(row["incomplete"] for row in rows):
        caption += (
            f" “{INCOMPLETE}” marks a set from an archive that is not the complete official one."
        )
    columns = [
        ("Data set", "left", "1.4fr"),
        ("Classes", "right", "auto"),
        ("Images", "left", "2fr"),
        ("Origin and terms", "left", "2.4fr"),
        ("SHA-256", "left", "auto"),
    ]
    return table("datasets", caption, columns, [_dataset(row) for row in rows])


def _dataset(row: dict) -> list[dict]:
    badges = [STAND_IN] * row["stand_in"] + [INCOMPLETE] * row["incomplete"]
    return [
        cell(row["label"], badges=badges),
        cell(row["classes"]),
        cell(lines=row["splits"]),
        cell(row["origin"], small=[row["licence"]] if row["licence"] else []),
        cell(row["sha256"], code=True),
    ]


def protocols_table(rows: list[dict]) -> dict:
    """How each protocol attacks, and what it was run on."""
    caption = "Evaluation protocols and what they were run on."
    if any(row["weaker"] for row in rows):
        caption += (
            f" “{WEAKENED}” marks an attack with less effort than standard AutoAttack: the "
            "accuracies under it are too high."
        )
    columns = [("Protocol", "left", "auto"), ("Attack", "left", "1fr"), ("Run on", "left", "1fr")]
    cells = [[cell(p["label"]), _attack(p), cell(lines=p["scope"])] for p in rows]
    return table("protocols", caption, columns, cells)


def _attack(protocol: dict) -> dict:
    weaker = [f"{', '.join(protocol['weaker'])}."] if protocol["weaker"] else []
    words = " ".join(protocol["description"])
    return cell(words, badges=[WEAKENED] * bool(weaker), lines=weaker)


VERDICT_TONES = {"supported": "good", "contradicted": "bad", "undecided": "quiet", "not run": "bad"}


def claims_table(rows: list[dict]) -> dict:
    """The claims with the groups of runs that each compares."""
    columns = [
        ("Claim", "left", "1.5fr"),
        ("Groups", "left", "2fr"),
        ("Difference", "left", "1.3fr"),
        ("Verdict", "left", "auto"),
    ]
    caption = (
        "Claims, the two groups of runs that each compares (mean ± standard deviation over seeds), "
        "the difference of their means in percentage points with its interval, and the verdict."
    )
    cells = [
        [
            cell(row["sentence"], small=[row["source"]] if row["source"] else []),
            cell(lines=row["groups"], small=[row["metric"]]),
            cell(row["difference"], small=row["notes"]),
            cell(
                row["verdict"],
                tone=VERDICT_TONES.get(row["verdict"]),
                badges=[STAND_IN] * row["stand_in"],
            ),
        ]
        for row in rows
    ]
    return table("claims", caption, columns, cells) | {"files": ["claims.csv", "claims.json"]}


def checks_table(rows: list[dict]) -> dict:
    """The checks that every evaluation makes on itself."""
    columns = [
        ("Check", "left", "2fr"),
        ("State", "left", "auto"),
        ("Passed", "right", "auto"),
        ("Detail", "left", "3fr"),
    ]
    cells = [
        [
            cell(check["name"]),
            cell(check["state"], tone=TONES.get(check["state"], "quiet")),
            cell(check["count"], sort=check["share"]),
            cell(lines=check["details"]),
        ]
        for check in rows
    ]
    caption = "Checks that every evaluation makes on itself, and how many passed."
    return table("checks", caption, columns, cells)


def stages_table(rows: list[dict]) -> dict:
    """Time and memory of each stage; the last row sums up."""
    columns = [
        ("Stage", "left", "1fr"),
        ("Jobs", "right", "auto"),
        ("Time of all jobs", "right", "auto"),
        ("Longest job", "right", "auto"),
        ("Largest memory", "right", "auto"),
    ]
    cells = [
        [cell(row["texts"][0], code=True)]
        + [cell(text, sort=n) for text, n in zip(row["texts"][1:], row["numbers"], strict=True)]
        for row in rows
    ]
    caption = "Jobs, time and largest memory of each stage; jobs may have run side by side."
    foot = [[cell(c["text"], sort=c["sort"]) for c in cells[-1]]] if cells else []
    return table("stages", caption, columns, cells[:-1], foot)


def cost_table(cost: dict) -> dict:
    """Measured hours by device, and what is estimated from them."""
    columns = [
        ("Device", "left", "1.6fr"),
        ("Hours", "right", "auto"),
        ("Measured as", "left", "1.4fr"),
        ("Energy", "right", "auto"),
        ("CO2e", "right", "auto"),
        (f"Price in {cost['currency']}", "right", "auto"),
    ]
    cells = [
        [
            cell(row["label"]),
            cell(row["hours"], sort=row["amount"]),
            *(cell(row[key]) for key in ("basis", "kwh", "kg_co2", "money")),
        ]
        for row in cost["rows"]
    ]
    caption = (
        "Cost of this run by device: hours are measured; energy, CO2 equivalents and price are "
        "estimates with their bounds in brackets."
    )
    return table("cost", caption, columns, cells)


def origins_table(rows: list[dict]) -> dict:
    """Which file, jobs, commit and weights each number comes from."""
    columns = [
        ("No.", "right", "auto"),
        ("Result", "left", "1.2fr"),
        ("File and jobs", "left", "2.2fr"),
        ("Commit, time, device", "left", "1.35fr"),
        ("Weights", "left", "1.25fr"),
    ]
    caption = (
        "Where each number comes from: the file below the run’s folder, the jobs that made it (the "
        "log of each is logs/<job>.log), commit and time, and the weights that were evaluated. "
        "“+changes” means that files of the project differed from the commit."
    )
    return table("origins", caption, columns, [_origin(row) for row in rows])


def _origin(row: dict) -> list[dict]:
    number = row["number"]
    return [
        cell(str(number), sort=number, anchor=f"result-{number}"),
        cell(row["label"], small=[row["what"]]),
        cell(row["file"], small=row["jobs"], code=True),
        cell(row["commit"], small=[f"{row['created']}, {row['device']}"], code=True),
        cell(row["weights"], code=True),
    ]


def differences_table(rows: list[dict]) -> dict:
    """Contradictions between the sources that change a setting of this run."""
    columns = [
        ("About", "left", "1.1fr"),
        ("Thesis", "left", "1fr"),
        ("Released code", "left", "1.2fr"),
        ("In this run", "left", "1.4fr"),
    ]
    caption = (
        "Contradictions between the thesis and its released code that change a setting of this run."
    )
    cells = [
        [cell(d["about"]), cell(d["thesis"]), cell(d["code"]), cell(small=d["used"])] for d in rows
    ]
    return table("differences", caption, columns, cells)


def provenance_table(rows: list[list[str]]) -> dict:
    """What has to be known to make the same results again."""
    columns = [("What", "left", "auto"), ("Value", "left", "1fr")]
    cells = [[cell(name), cell(value)] for name, value in rows]
    return table("provenance", "Software, hardware and seeds of this run.", columns, cells)
