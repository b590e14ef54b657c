"""Reading what earlier stages left in a results folder; a file that is not there is `None`."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from robustvit.core.errors import UserError


def read_optional_json(path: Path) -> dict | None:
    """Read a JSON object (NaN becomes None), or return None if the file does not exist.

    Raises:
        UserError: if the file exists and is not a JSON object.
    """
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise _damaged(path, "expected a JSON object")
    return value


def read_optional_yaml(path: Path) -> dict | None:
    """Read a YAML mapping, or return None if the file does not exist."""
    if not path.exists():
        return None
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise _damaged(path, "expected a YAML mapping")
    return value


def read_table(path: Path, delimiter: str = ",") -> list[dict[str, float | str | None]]:
    """Read a CSV with a header; numbers become floats, empty fields and NaN become None."""
    with open(path, encoding="utf-8", newline="") as handle:
        return [
            {name: _number(text) for name, text in row.items() if name is not None}
            for row in csv.DictReader(handle, delimiter=delimiter)
        ]


def _number(text: str | None) -> float | str | None:
    if text is None or text.strip().lower() in ("", "-", "nan", "none"):
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path}: cannot be read ({why}). Delete the file and start again to make it.")


class Results:
    """A results root such as `results/demo`, with one method per kind of file.

    Attributes:
        root: the folder.
        other_settings: by file, how the settings it was made with differ from those of now (see
            `robustvit.reporting.other_settings`); empty where nobody looked.
    """

    def __init__(
        self, root: str | Path, other_settings: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.root, self.other_settings = Path(root), dict(other_settings or {})

    def changes_of(self, *files: str) -> list[str]:
        """How the settings that these files were made with differ from those of now."""
        causes = (cause for file in files for cause in self.other_settings.get(file, ()))
        return list(dict.fromkeys(causes))

    @staticmethod
    def evaluation_file(experiment: str, protocol: str) -> str:
        """Path of a gathered evaluation, relative to the root."""
        return f"eval/{experiment}/{protocol}.json"

    @staticmethod
    def semantics_file(semantics: str, generator: str, classifier: str) -> str:
        """Path of a classification of perturbations, relative to the root."""
        return f"semantics/{semantics}/{generator}/{classifier}.json"

    @staticmethod
    def perturbations_file(semantics: str, generator: str) -> str:
        """Path of the manifest of a generator's perturbations, relative to the root."""
        return f"semantics/{semantics}/{generator}/manifest.json"

    @staticmethod
    def dataset_file(name: str) -> str:
        """Path of a data set's manifest, relative to the root."""
        return f"datasets/{name}/manifest.json"

    @staticmethod
    def comparison_file(semantics: str) -> str:
        """Path of the comparison of an analysis' classifications, relative to the root."""
        return f"semantics/{semantics}/comparison.json"

    @staticmethod
    def training_file(name: str) -> str:
        """Path of a training's learning curve, relative to the root."""
        return f"train/{name}/metrics.csv"

    @staticmethod
    def checkpoint_file(name: str) -> str:
        """Path of what is known of a checkpoint's origin, relative to the root."""
        return f"checkpoints/{name}/source.json"

    def evaluation(self, experiment: str, protocol: str) -> dict | None:
        """A gathered evaluation, or None if it was not run."""
        return read_optional_json(self.root / self.evaluation_file(experiment, protocol))

    def semantics(self, semantics: str, generator: str, classifier: str) -> dict | None:
        """A classification of perturbations, or None if it was not run."""
        return read_optional_json(self.root / self.semantics_file(semantics, generator, classifier))

    def perturbations(self, semantics: str, generator: str) -> dict | None:
        """The manifest of a generator's perturbations."""
        return self.json(self.perturbations_file(semantics, generator))

    def comparison(self, semantics: str) -> dict | None:
        """The comparison of an analysis' classifications, or None if it was not made."""
        return read_optional_json(self.root / self.comparison_file(semantics))

    def dataset(self, name: str) -> dict | None:
        """A data set's manifest."""
        return read_optional_json(self.root / self.dataset_file(name))

    def training(self, experiment: str) -> dict | None:
        """What a finished training left: {"config": dict, "metrics": [one dict per epoch]}."""
        folder = self.root / "train" / experiment
        if not (folder / "metrics.csv").exists():
            return None
        config = read_optional_yaml(folder / "config.yaml") or {}
        return {"config": config, "metrics": read_table(folder / "metrics.csv")}

    def checkpoint(self, name: str) -> dict | None:
        """Where the weights of a checkpoint come from, with their hashes."""
        return self.json(self.checkpoint_file(name))

    def json(self, file: str) -> dict | None:
        """Any JSON object by its path relative to the root, or None if it is not there."""
        return read_optional_json(self.root / file)

    def claims(self) -> dict | None:
        """The verdicts written by `judge_claims.py`."""
        return self.json("claims.json")

    def table(self, name: str) -> dict | None:
        """A table written by `make_table.py`."""
        return read_optional_json(self.root / "tables" / f"{name}.json")

    def figure(self, name: str) -> dict | None:
        """Alternative text and data of a figure written by `make_figure.py`."""
        return read_optional_json(self.root / "figures" / f"{name}.json")


def proportion(record: dict, metric: str, where: str) -> dict | None:
    """Return the measured proportion `metric` of an evaluation, or None if it has none.

    Args:
        record: a gathered evaluation or a classification of perturbations.
        metric: for instance "clean_top1"; `record[metric]` is {"value","low","high","k","n"} with
            fractions in [0, 1] and counts.
        where: the file, for the error's text.

    Raises:
        UserError: if the numbers contradict each other.
    """
    found = record.get(metric)
    if found is None:
        return None
    try:
        value, low, high = (float(found[key]) for key in ("value", "low", "high"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{where}: {metric} should be like {{"value": 0.5, "low": 0.4, "high": 0.6, '
            f'"k": 32, "n": 64}} ({error!r}).'
        ) from error
    slack = 1e-9
    if not -slack <= low <= value + slack <= high + 2 * slack <= 1 + 3 * slack:
        raise UserError(
            f"{where}: {metric} should be a fraction inside its interval in [0, 1], "
            f"found {value} in [{low}, {high}]."
        )
    return {"value": value, "low": low, "high": high, "k": found.get("k"), "n": found.get("n")}


def failed_checks(record: dict) -> list[dict]:
    """The checks that an evaluation made on itself and did not pass: [{"name", "detail"}]."""
    return [
        {"name": check["name"], "detail": check["detail"]}
        for check in record.get("checks") or []
        if not check["passed"]
    ]


def is_complete(shown: dict, results: Results) -> bool | None:
    """Whether the images of `shown["dataset"]` are all of the official archive's; None: unknown."""
    manifest = (results.dataset(shown["dataset"]) if shown.get("dataset") else None) or {}
    return False if manifest.get("missing") else manifest.get("complete")
