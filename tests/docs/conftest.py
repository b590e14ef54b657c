"""A copy of the checkout in which somebody has followed every page."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES
from tests.integration.conftest import copy_checkout

PLAIN = ("--profile", "none", "--cores", "1")


class Book:
    """The copy, and how to run Snakemake in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snakemake(self, overlays: list[str], *arguments: str) -> str:
        """Run with these overlays over the demo and return everything that it said."""
        files = ("--configfile", "configs/demo.yaml", *overlays)
        done = self.python("-m", "snakemake", *files, *PLAIN, *arguments)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-4000:]
        return said

    def python(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the environment's Python in the copy, on the copy's own package."""
        environment = dict(os.environ)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        # The environment has a path to the package of the checkout that it was made in.
        environment["PYTHONPATH"] = str(self.folder / "scripts")
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The copy with the files of all pages; nothing of it is in the project itself."""
    folder = copy_checkout(tmp_path_factory.mktemp("book"))
    for page in PAGES:
        for name, text in page.files.items():
            assert not (folder / name).exists(), f"{name} is in the project or on two pages"
            (folder / name).write_text(text, encoding="utf-8")
    return Book(folder)


@pytest.fixture
def plugins(book: Book, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the package find the pages' plug-ins, without copying them into it; go to the copy."""
    added = []
    for page in PAGES:
        for name in page.modules:
            path = Path(name).relative_to("scripts").with_suffix("")
            package = importlib.import_module(".".join(path.parent.parts))
            found = [*package.__path__, str(book.folder / "scripts" / path.parent)]
            monkeypatch.setattr(package, "__path__", found)
            added.append((package, path))
    importlib.invalidate_caches()
    monkeypatch.chdir(book.folder)
    yield book.folder
    for package, path in added:
        sys.modules.pop(".".join(path.parts), None)
        vars(package).pop(path.name, None)
