"""CIFAR-10's 50,000 training and 10,000 test images, stored losslessly as PNG.

Options:
    expected_counts: images by split, or "official".
"""

from __future__ import annotations

from robustvit.data.building import ArchivePlan, check_options
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.cifar_plans import plan_cifar

OFFICIAL_COUNTS = {
    "train": {"total": 50_000, "per_class": 5000},
    "test": {"total": 10_000, "per_class": 1000},
}


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set; ids are "cifar10/test/00012" with the place in the official batches.

    Raises:
        UserError: for unknown options.
    """
    check_options(options, set(), "cifar10")
    return plan_cifar("cifar10", source["files"], list(CIFAR10_CLASSES), OFFICIAL_COUNTS)
