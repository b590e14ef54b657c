"""An invented results root, the project's published numbers and its report template."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import synthetic_results as synthetic
from synthetic_report import write_everything

from robustvit.reporting.published import Published
from robustvit.reporting.results import Results

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def published() -> Published:
    """The project's published numbers."""
    return Published.load(ROOT / "reports" / "published.csv")


@pytest.fixture(scope="session")
def template() -> Path:
    """The project's report template."""
    return ROOT / "reports" / "report.typ"


@pytest.fixture(scope="session")
def full_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root with everything that stages before the reporting leave; do not write to it."""
    return synthetic.build_root(tmp_path_factory.mktemp("results") / "demo")


@pytest.fixture
def root(full_root: Path, tmp_path: Path) -> Path:
    """A copy of the results root that a test may change."""
    return Path(shutil.copytree(full_root, tmp_path / "demo"))


@pytest.fixture
def results(full_root: Path) -> Results:
    """Reader of the unchanged results root."""
    return Results(full_root)


@pytest.fixture(scope="session")
def report(
    full_root: Path, tmp_path_factory: pytest.TempPathFactory, published: Published, template: Path
) -> tuple[Path, Path]:
    """A report of everything as PDF, and the results root that it is of; change neither."""
    folder = tmp_path_factory.mktemp("report")
    root = Path(shutil.copytree(full_root, folder / "demo"))
    return write_everything(root, published, template, folder / "report.pdf"), root
