"""Two figures of each data set that nobody has to configure: images, and images per class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robustvit.core.errors import UserError

COLUMNS, ROWS = 8, 3
SUFFIXES = ("images", "classes")


def dataset_figures(names: Iterable[str]) -> list[str]:
    """Names of the figures of these data sets."""
    return [f"{name}_{suffix}" for name in names for suffix in SUFFIXES]


def written_figures(config: Mapping) -> dict[str, dict]:
    """The figures of a resolved configuration that it names itself."""
    added = set(dataset_figures(config["datasets"]))
    return {name: entry for name, entry in config["figures"].items() if name not in added}


def add_dataset_figures(config: Mapping) -> dict:
    """Return `config` with the entries of these figures for every data set.

    Raises:
        UserError: if the configuration has a figure of such a name.
    """
    figures = dict(config["figures"])
    for name, entry in config["datasets"].items():
        own = dict(zip(dataset_figures([name]), _entries(name, entry), strict=True))
        taken = [figure for figure in own if figure in figures]
        if taken:
            raise UserError(
                f"figures.{taken[0]}: the data set {name} has a figure of this name already; "
                f"choose another, for instance my_{taken[0]}"
            )
        figures |= own
    return {**config, "figures": figures}


def _entries(name: str, entry: Mapping) -> tuple[dict, dict]:
    label, split = entry["label"], entry["eval_split"]
    shown = {"datasets": [name], "split": split, "columns": COLUMNS, "rows": ROWS}
    images = {
        "kind": "contact_sheet",
        "title": f"{label}: images",
        "caption": f"Images of the split {split} with their classes, which are spread over all "
        "classes of the set; the middle square of each.",
        "options": shown,
    }
    classes = {
        "kind": "class_histogram",
        "title": f"{label}: images per class",
        "caption": "How many images each class has in each split, in the order of the labels.",
        "options": {"datasets": [name]},
    }
    return _escaped(images), _escaped(classes)


def _escaped(entry: dict) -> dict:
    """A brace in a label is no placeholder of the caption."""
    return entry | {"caption": entry["caption"].replace("{", "{{").replace("}", "}}")}
