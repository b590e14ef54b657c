"""CIFAR-100's 50,000 training and 10,000 test images, stored losslessly as PNG.

Options:
    expected_counts: images by split, or "official".
"""

from __future__ import annotations

from robustvit.core.files import read_json
from robustvit.data.building import ArchivePlan, check_options
from robustvit.data.cifar_plans import plan_cifar

OFFICIAL_COUNTS = {
    "train": {"total": 50_000, "per_class": 500},
    "test": {"total": 10_000, "per_class": 100},
}


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set; ids are "cifar100/test/00012" with the place in the official file.

    Raises:
        UserError: for unknown options.
    """
    check_options(options, set(), "cifar100")
    classes = read_json(source["files"]["classes"])
    return plan_cifar("cifar100", source["files"], classes, OFFICIAL_COUNTS)
