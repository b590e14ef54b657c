"""The hashed locks and the files that they come from."""

from __future__ import annotations

import re

import pytest

LOCKS = ("main", "dev", "tpu", "submit", "uv")
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)(\[[^]]*\])?==(\S+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """Versions by normalised package name."""
    found = REQUIREMENT.findall(text)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in found}


@pytest.fixture(scope="session")
def envs(repository):
    return repository / "envs"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_no_address(envs, name):
    text = (envs / f"{name}.txt").read_text()
    assert "://" not in text
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
    assert len(entries) == len(REQUIREMENT.findall(text)) > 0
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_follows_its_source(envs, name):
    locked = pins((envs / f"{name}.txt").read_text())
    wanted = pins((envs / f"{name}.in").read_text())
    assert {key: locked.get(key) for key in wanted} == wanted


def test_shared_packages_have_one_version(envs):
    main = pins((envs / "main.txt").read_text())
    for other in ("dev", "tpu", "submit"):
        locked = pins((envs / f"{other}.txt").read_text())
        assert {k: v for k, v in locked.items() if k in main and main[k] != v} == {}
