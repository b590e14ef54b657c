"""Evaluations of one model against each other."""

from __future__ import annotations

import pytest
import synthetic_results as synthetic
import synthetic_specs as specs

from robustvit.core.files import read_json
from robustvit.reporting.cross_checks import cross_checks
from robustvit.reporting.display import build_display
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table

FGSM, AUTOATTACK = {"name": "fgsm", "options": {}}, {"name": "autoattack", "options": {}}
PGD10, PGD200 = ({"name": "pgd", "options": {"steps": steps}} for steps in (10, 200))
LINF = {"norm": "linf", "epsilon_255": 4}


def record(attack: dict | None, left: int, images: int = 64, threat: dict | None = LINF) -> dict:
    robust = synthetic.proportion(left, images) if attack else None
    common = {"dataset": "cifar10", "split": "test", "num_examples": images}
    return common | {"attack": attack, "robust_top1": robust, "threat": threat}


@pytest.mark.parametrize(
    ("weak", "strong", "failed"),
    [
        (record(FGSM, 30), record(PGD10, 35), True),
        (record(FGSM, 30), record(PGD10, 31), False),
        (record(PGD10, 300, 1000), record(PGD200, 309, 1000), False),
        (record(PGD10, 300, 1000), record(PGD200, 311, 1000), True),
        (record(PGD200, 30), record(AUTOATTACK, 33), True),
        (record(PGD200, 30), record(AUTOATTACK, 12), False),
    ],
)
def test_the_stronger_attack_has_to_leave_less(weak: dict, strong: dict, failed: bool) -> None:
    found = cross_checks({"strong": strong, "clean": record(None, 0), "weak": weak, "gone": None})
    assert list(found) == ["strong"]
    (check,) = found["strong"]
    assert (check["name"], check["passed"]) == ("strength (weak)", not failed)
    assert f"{strong['robust_top1']['k']} of" in check["detail"]


@pytest.mark.parametrize(
    "other",
    [record(FGSM, 30, 32), record(FGSM, 30, threat={"norm": "linf", "epsilon_255": 8})],
)
def test_other_images_or_radii_are_not_compared(other: dict) -> None:
    assert cross_checks({"fgsm": other, "pgd10": record(PGD10, 60)}) == {}


def test_it_stands_in_the_report_and_beside_the_number(root, published) -> None:
    for protocol, attack, left in (("pgd10", PGD10, 20), ("autoattack", AUTOATTACK, 28)):
        path = root / f"eval/demo_light/{protocol}.json"
        more = {"attack": attack, "num_examples": 64, "checks": []}
        more |= {"robust_top1": synthetic.proportion(left, 64)}
        synthetic.write(path, read_json(path) | more)
    table = build_table(specs.table_spec(), Results(root), published)
    cells = {cell["file"]: cell["failed_checks"] for r in table["rows"] for cell in r["cells"]}
    expected = {"name": "strength (pgd10)", "detail": "28 of 64 images stand, 20 under pgd10"}
    assert cells["eval/demo_light/autoattack.json"] == [expected]
    assert cells["eval/demo_light/pgd10.json"] == []
    summary = build_summary(specs.report_spec(), Results(root), published)
    shown = build_display(specs.report_spec(), summary)["checks"]
    (group,) = [g for g in shown if g["name"].startswith("A stronger attack")]
    assert group["state"] == "failed"
