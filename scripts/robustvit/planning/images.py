"""Numbers of images: from a built data set, else from its source archive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data.checking.sizes import folder_bytes
from robustvit.data.own_images import find_own

EVALUATED = 5000  # RobustBench's list of ImageNet images
OWN_IMAGE_BYTES = 110_000  # ImageNet's mean, assumed of a user's own
TESTED = 0.2  # share of each class, if no folders say it


class Images:
    """How many images the data sets of a configuration have.

    Args:
        config: resolved configuration.
        sources: archives by name, with their `train` and `eval` images and `classes`.
        stand_in: for each data set, whether it is built from a stand-in.
        root: the run's folder, whose manifests are believed first.
    """

    def __init__(
        self, config: Mapping, sources: Mapping, stand_in: Mapping[str, bool], root: Path
    ) -> None:
        self.config, self.sources, self.stand_in, self.root = config, sources, stand_in, root

    def count(self, dataset: str, part: str) -> int:
        """Images of a data set's "train" or "eval" split."""
        built = self.root / "datasets" / dataset / "manifest.json"
        split = self.config["datasets"][dataset][f"{part}_split"]
        if built.is_file() and split:
            return int(read_json(built)["splits"][split]["num_examples"])
        if self.stand_in[dataset]:
            return self._of_stand_in(dataset, part)
        entry = self.config["datasets"][dataset]
        source = self._source(dataset)
        listed = entry.get("options", {}).get("file_list")
        whole = EVALUATED if listed and part == "eval" else source[part]
        return math.ceil(whole * min(entry["num_classes"] / source["classes"], 1.0))

    def total(self, dataset: str) -> int:
        """Images of all splits that are built."""
        entry = self.config["datasets"][dataset]
        parts = [part for part in ("train", "eval") if entry[f"{part}_split"]]
        splits = {entry[f"{part}_split"]: part for part in parts}
        return sum(self.count(dataset, part) for part in splits.values())

    def evaluated(self, dataset: str, wanted: int | None) -> int:
        """Images of an evaluation: `wanted`, or all there are."""
        found = self.count(dataset, "eval")
        return min(wanted, found) if wanted else found

    def gigabytes(self, dataset: str) -> float:
        """Size of the images of a data set: its share of the source archive."""
        source = self._source(dataset)
        return source["gigabytes"] * self.total(dataset) / (source["train"] + source["eval"])

    def _source(self, dataset: str) -> Mapping:
        """What is known of a set's archive; of a user's own images, their size tells the number."""
        entry = self.config["datasets"][dataset]
        known = self.sources.get(entry["source"])
        path = None if known else find_own(entry["source"], self.config["paths"]["mirror"])
        if known is None and path is None:
            raise UserError(
                f"datasets.{dataset}.source: the size of {entry['source']} is not known, and no "
                "mirror has it. Add it to `sources` in planning/benchmarks.yaml, for instance "
                f"{entry['source']}: {{gigabytes: 0.1, train: 21600, eval: 5400, classes: "
                f"{entry['num_classes']}, source: counted}}."
            )
        return known or _own_images(path, entry)

    def _of_stand_in(self, dataset: str, part: str) -> int:
        entry = self.config["datasets"][dataset]
        made = self.config["stand_ins"][entry["source"]]
        classes = entry["num_classes"]
        if "per_class" in made:  # Caltech-101: 30 for training, the rest for testing
            train = min(30, made["per_class"])
            return classes * (train if part == "train" else made["per_class"] - train)
        kind = "train" if part == "train" else "test" if "test_per_class" in made else "val"
        return classes * made[f"{kind}_per_class"]


def _own_images(path: Path, entry: Mapping) -> dict:
    size = path.stat().st_size if path.is_file() else folder_bytes(path)
    number = max(entry["num_classes"], size // OWN_IMAGE_BYTES)
    tested = math.ceil(TESTED * number)
    return {
        "gigabytes": size / 1e9,
        "train": number - tested,
        "eval": tested,
        "classes": entry["num_classes"],
    }
