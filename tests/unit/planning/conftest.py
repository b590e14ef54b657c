"""Facts and a configuration that the tests of the plan share."""

from pathlib import Path

import pytest
import yaml

from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve
from robustvit.planning.facts import load_facts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def facts():
    return load_facts()


def configuration(*overlays):
    files = [ROOT / "workflow_config.yaml", *(ROOT / "configs" / name for name in overlays)]
    layers = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]
    return resolve(deep_merge(*layers))


@pytest.fixture(scope="session")
def paper():
    return configuration()


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)
