"""The project's own configuration, as Snakemake merges it."""

import copy
from functools import cache

import pytest
import yaml

from robustvit.config.merge import deep_merge
from robustvit.core.sources import SCRIPTS

ROOT = SCRIPTS.parent


@cache
def _parse(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def read(name):
    return copy.deepcopy(_parse(name))


@pytest.fixture
def paper():
    return read("workflow_config.yaml")


@pytest.fixture
def demo(paper):
    return deep_merge(paper, read("configs/demo.yaml"))


@pytest.fixture
def smoke(demo):
    return deep_merge(demo, read("configs/smoke.yaml"))
