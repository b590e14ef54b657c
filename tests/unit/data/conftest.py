"""Tiny archives in the official layouts, made of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from web_servers import start_server

from robustvit.core import plugins
from robustvit.data.archive_building import build_archive
from robustvit.data.source_files import read_source, write_source
from robustvit.data.stand_ins import make_stand_in
from robustvit.data.writing import About

SPECS = {
    "imagenet": {
        "classes": {"automobile": "n04285008", "frog": "n01641577", "ship": "n02389026"},
        "train_per_class": 5,
        "val_per_class": 3,
    },
    "caltech101": {"classes": {"bird": "emu", "truck": "BACKGROUND_Google"}, "per_class": 33},
    "oxford_flowers102": {
        "classes": {"cat": 1, "dog": 3},
        "train_per_class": 2,
        "val_per_class": 1,
        "test_per_class": 4,
    },
}


@pytest.fixture(scope="session")
def cifar10_source(tmp_path_factory) -> dict:
    """As many images and labels as CIFAR-10 has, but of 4 px, so that it is small."""
    folder = tmp_path_factory.mktemp("cifar10")
    rng = np.random.default_rng(0)
    np.save(folder / "images.npy", rng.integers(0, 256, (60_000, 4, 4, 3), np.uint8))
    np.save(folder / "labels.npy", rng.permutation(np.arange(60_000) % 10).astype(np.uint8))
    files = {name: folder / f"{name}.npy" for name in ("images", "labels")}
    write_source(folder / "source.json", "cifar10", files, "mirror")
    return read_source(folder / "source.json")


@pytest.fixture(scope="session")
def stand_in_specs() -> dict:
    """The spec of `make_stand_in` by source."""
    return {name: {"source": name, "seed": 1, **spec} for name, spec in SPECS.items()}


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory, cifar10_source, stand_in_specs):
    """Return a function that gives the stand-in source of a name, made once."""
    made = {}

    def get(source: str) -> dict:
        if source not in made:
            folder = tmp_path_factory.mktemp(source)
            make_stand_in(stand_in_specs[source], cifar10_source, folder)
            made[source] = read_source(folder / "source.json")
        return made[source]

    return get


@pytest.fixture
def web_server(monkeypatch, tmp_path):
    """A web server of this machine (see `web_servers.Server`)."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ROBUSTVIT_PROGRESS", str(tmp_path / "progress"))
    state, server = start_server()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def build(tmp_path):
    """Return a function that builds a data set and returns its manifest's path."""

    def run(builder, source, options=None, name="tiny", workers=1) -> Path:
        plan = plugins.load("robustvit.data.builders", builder).plan(source, options or {})
        path = tmp_path / name / "manifest.json"
        about = About(name, builder, source, options or {})
        build_archive(plan, path, about, work_dir=tmp_path / "work" / name, workers=workers)
        return path

    return run


@pytest.fixture
def read_spec():
    """Return a function that makes a DATASET_READ spec."""

    def make(split: str, **changes) -> dict:
        spec = {"name": "tiny", "split": split, "num_classes": 102, "image_size": 4}
        spec |= {"crop_pct": 1.0, "interpolation": "bicubic", "num_examples": None}
        return spec | changes

    return make
