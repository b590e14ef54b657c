"""Standard AutoAttack (Croce & Hein 2020): APGD-CE, APGD-T, FAB-T and Square by pyautoattack.

Differences from pyautoattack's own loop, none of which weakens it: random draws belong to the
example and come from the experiment's seed, never from the clock or the batch; weight gradients
are not computed; the number of targets follows the number of classes.

With few classes the targeted DLR loss of APGD-T is not defined (it needs the four largest
logits). Three classes get the untargeted DLR loss in its place; two classes the difference of the
two logits, which is what DLR becomes without its scaling and, unlike the cross-entropy, has a
gradient that does not vanish when the model is confident.

Two engines do the same work: "reference" runs pyautoattack's code, "fast" its own (see
`robustvit.attacks.fast.ensemble`). Both draw the same random numbers.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from robustvit.attacks._apgd import SeededAPGD, SeededTargetedAPGD
from robustvit.attacks._ensemble import Component, run_ensemble
from robustvit.attacks._fab import TargetedFAB
from robustvit.attacks._square import SeededSquare
from robustvit.attacks.fast.ensemble import run_parts
from robustvit.attacks.fast.standard import search_limit, standard
from robustvit.attacks.support.engines import REFERENCE, is_fast
from robustvit.attacks.support.options import merged
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report
from robustvit.core.errors import UserError

DEFAULTS = {
    "iterations": 100,
    "queries": 5000,
    "targets": 9,
    "restarts": 1,
    "engine": REFERENCE,
}


def components(num_classes: int, epsilon: float, norm: str, options: dict) -> list[Component]:
    """List the attacks of the ensemble in order.

    Args:
        options: {"iterations": 100, "queries": 5000, "targets": 9, "restarts": 1} are the
            standard version; smaller values make a weaker attack, for tests.

    Raises:
        UserError: for fewer than two classes.
    """
    require_classes(num_classes)
    settings = merged(options, DEFAULTS)
    iterations, targets = settings["iterations"], min(settings["targets"], num_classes - 1)
    ball = {"epsilon": epsilon, "norm": norm}
    apgd = partial(SeededAPGD, restarts=settings["restarts"], iterations=iterations, **ball)
    fab = partial(TargetedFAB, targets=targets, iterations=iterations, **ball)
    square = partial(SeededSquare, queries=settings["queries"], **ball)
    calls = settings["restarts"] * (iterations + 1)
    return [
        Component("apgd-ce", 0, partial(apgd, loss="ce"), calls, cost=3.0),
        _second(num_classes, apgd, targets, iterations, calls, ball),
        # Two forward passes, a backward pass and a costly projection per iteration.
        Component("fab-t", 2, fab, 2 * iterations * targets, cost=3.0),
        Component("square", 3, square, settings["queries"], cost=1.0),
    ]


def _second(
    num_classes: int, apgd: partial, targets: int, iterations: int, calls: int, ball: dict
) -> Component:
    if num_classes == 2:
        return Component("apgd-margin", 1, partial(apgd, loss="margin"), calls, cost=3.0)
    if num_classes == 3:
        return Component("apgd-dlr", 1, partial(apgd, loss="dlr"), calls, cost=3.0)
    build = partial(SeededTargetedAPGD, targets=targets, iterations=iterations, **ball)
    return Component("apgd-t", 1, build, targets * (iterations + 1), cost=3.0)


def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: str,
    seeds: Tensor,
    num_classes: int,
    options: dict,
    batch_size: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> dict[str, AttackOutcome]:
    """Evaluate with standard AutoAttack; one outcome per component, in order.

    Args:
        options: as for `components`, and {"engine": "reference"} or "fast".

    Raises:
        UserError: for fewer than two classes or an unknown engine.
    """
    require_classes(num_classes)
    settings = merged(options, DEFAULTS)
    runner, parts = run_ensemble, components(num_classes, epsilon, norm, options)
    if is_fast(settings["engine"]):
        limit = search_limit(images, batch_size)
        runner, parts = run_parts, standard(num_classes, epsilon, norm, settings, limit)
    return runner(
        parts, model, images, labels, epsilon=epsilon, seeds=seeds, batch_size=batch_size,
        report=report, checkpoint=checkpoint,
    )  # fmt: skip


def require_classes(num_classes: int) -> None:
    """Stop unless there is another class to be taken for."""
    if num_classes < 2:
        raise UserError(
            f"num_classes: {num_classes}, but an attack has to find another class; expected 2 "
            "or more"
        )
