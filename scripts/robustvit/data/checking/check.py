"""The state of all data sets of a configuration before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from robustvit.core.files import read_json
from robustvit.data.checking.sizes import converted_bytes, estimated_bytes, folder_bytes
from robustvit.data.checking.sources import PRESENT, find_source
from robustvit.data.official import source_facts

# Options by which a data set refuses to be built from less than the official archive.
WHOLE = {"expected_counts": "official", "require_complete": True}
CIFAR10 = "cifar10"  # stand-ins are made of its photographs


def check_datasets(spec: dict, *, read: bool = False) -> dict:
    """Find every archive and every built set; nothing is fetched, built or, by default, read.

    Args:
        spec: see `robustvit.config.dataset_check.check_spec`.
        read: whether to read local archives of known digest and compare.

    Returns:
        {"name", "root", "datasets": {name: …}, "sources": {name: …}, "disk": {"archives", "sets",
        "free"} in bytes, "problems": [sentences]}; no problem means that the run may start.
    """
    sources = _sources(spec, read)
    datasets = {n: _dataset(spec, n, entry, sources) for n, entry in spec["datasets"].items()}
    disk = _disk(spec, datasets, sources)
    return {
        "name": spec["name"],
        "root": spec["root"],
        "datasets": datasets,
        "sources": sources,
        "disk": disk,
        "problems": [
            *_problems(datasets, sources),
            *_incomplete(spec, datasets, sources),
            *_space_problems(spec, disk),
        ],
    }


def _sources(spec: dict, read: bool) -> dict[str, dict]:
    names = list(dict.fromkeys(entry["source"] for entry in spec["datasets"].values()))
    folder = Path(spec["results"]) / "sources"

    def find(name: str) -> dict:
        stand_in = name in spec["stand_ins"]
        found = find_source(name, spec["mirrors"], folder, stand_in, read)
        facts = source_facts(name)
        about = {key: facts.get(key) for key in ("label", "page", "licence", "terms", "accept")}
        return about | {"official_bytes": _official_bytes(facts)} | found

    with ThreadPoolExecutor(8) as pool:  # most of the time is waiting for other machines
        found = dict(zip(names, pool.map(find, names), strict=True))
    made = any(entry["state"] == "stand-in" for entry in found.values())
    return found | ({} if not made or CIFAR10 in found else {CIFAR10: find(CIFAR10)})


def _official_bytes(facts: dict) -> int | None:
    return sum(file["size"] for file in facts.get("files", {}).values()) or None


def _dataset(spec: dict, name: str, entry: dict, sources: dict[str, dict]) -> dict:
    source = sources[entry["source"]]
    common = {key: entry[key] for key in ("label", "source", "needed")}
    manifest = Path(spec["root"]) / "datasets" / name / "manifest.json"
    if manifest.is_file():
        splits = read_json(manifest)["splits"]
        images = {split: part["num_examples"] for split, part in splits.items()}
        return common | {"built": True, "bytes": folder_bytes(manifest.parent), "images": images}
    stand_in = spec["stand_ins"][entry["source"]] if source["state"] == "stand-in" else None
    sizes = [file["size"] for file in source["files"].values()]
    estimate = estimated_bytes(entry, sum(sizes) if sizes else None, stand_in)
    return common | {"built": False, "bytes": estimate, "images": None}


def _disk(spec: dict, datasets: dict, sources: dict) -> dict[str, int]:
    """What the needed sets still take of the disk of the results, and what is free there."""
    fetched = {n: s for n, s in sources.items() if _needed(n, datasets, sources)}
    archives = sum(_to_fetch(name, source) for name, source in fetched.items())
    to_build = [d["bytes"] or 0 for d in datasets.values() if d["needed"] and not d["built"]]
    folder = Path(spec["root"])
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return {"archives": archives, "sets": sum(to_build), "free": free}


def _needed(source: str, datasets: dict, sources: dict) -> bool:
    """Whether a set that the run needs and that is not built needs this source."""
    own = [d for d in datasets.values() if d["needed"] and not d["built"]]
    if any(d["source"] == source for d in own):
        return True
    made = any(sources[d["source"]]["state"] == "stand-in" for d in own)
    return made and source == CIFAR10


def _to_fetch(name: str, source: dict) -> int:
    if source["state"] == "fetched":
        return 0
    copied = 0 if source["state"] in PRESENT else sum(f["size"] for f in source["files"].values())
    return copied + converted_bytes(name)


def _problems(datasets: dict, sources: dict) -> list[str]:
    missing = [name for name, source in sources.items() if source["state"] == "missing"]
    return [_missing(n, sources[n]) for n in missing if _needed(n, datasets, sources)]


def _missing(name: str, source: dict) -> str:
    facts = source_facts(name)
    names = " and ".join(file["name"] for file in facts.get("files", {}).values())
    if not source["page"] or source["problem"].endswith("."):  # it says what to do
        return f"{name}: {source['problem'].rstrip('.')}."
    return (
        f"{name}: {source['problem']}. Get {names or 'its files'} from {source['page']} into "
        f"mirror/{name}/ or any place that `paths.mirror` names."
    )


def _incomplete(spec: dict, datasets: dict, sources: dict) -> Iterator[str]:
    """Sets that insist on the complete archive, where another one is in its place."""
    for name, dataset in datasets.items():
        options = spec["datasets"][name]["options"]
        wants = [key for key in WHOLE if options.get(key) == WHOLE[key]]
        files = sources[dataset["source"]]["files"].values()
        others = [file["file"] for file in files if file["official"] is False]
        if wants and others and dataset["needed"] and not dataset["built"]:
            yield (
                f"datasets.{name}.options.{wants[0]}: the set needs the complete official archive, "
                f"and {others[0]} is not it. Take that, or leave the option out."
            )


def _space_problems(spec: dict, disk: dict[str, int]) -> list[str]:
    needed = disk["archives"] + disk["sets"]
    if needed <= disk["free"]:
        return []
    return [
        f"paths.results: the archives and sets to come take about {needed / 1e9:.1f} GB, but "
        f"{spec['root']} has {disk['free'] / 1e9:.1f} GB free. Set it to a larger disk."
    ]
