"""Our AutoAttack beside RobustBench's, example by example, on the same images and weights.

RobustBench draws its random numbers for a batch, from a seed set before each attack of each batch;
here they belong to the example. `library_draws` puts RobustBench's draws into our attacks, so that
nothing differs but the code; a second run with our own draws shows what the draws are worth.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from robustvit.attacks import _apgd, _square
from robustvit.attacks._ensemble import Component, run_ensemble
from robustvit.attacks.autoattack import components
from robustvit.attacks.support.outcome import ignore_report
from robustvit.evaluation.shards import predict
from robustvit.models.zoo import import_robustbench

STANDARD = {"iterations": 100, "queries": 5000, "targets": 9}
Verdicts = dict[str, Tensor]
"""After each attack, which examples still stand: bool [N], in order; "clean" comes first."""


@contextlib.contextmanager
def library_draws(seed: int) -> Iterator[Callable[[Component], Component]]:
    """Let our attacks draw as pyautoattack does for a batch; yields what seeds a component.

    APGD then draws its own start. Square's squares are shared by the batch, drawn in the library's
    order: row, column, signs.
    """
    kept = _apgd.random_start, _square.uniform
    _apgd.random_start, _square.uniform = (lambda *_: None), _shared_draws

    def seeded(component: Component) -> Component:
        def build(predict_: object) -> object:
            torch.manual_seed(seed)
            return component.build(predict_)

        return dataclasses.replace(component, build=build)

    try:
        yield seeded
    finally:
        _apgd.random_start, _square.uniform = kept


def _shared_draws(seeds: Tensor, shape: tuple[int, ...], device: object = None) -> Tensor:
    count = len(seeds)
    if len(shape) > 1:
        return torch.rand(count, *shape).to(seeds.device)
    drawn = [torch.rand(1), torch.rand(1), torch.rand(shape[0] - 2, 1, 1).flatten()]
    return torch.cat(drawn).expand(count, -1).to(seeds.device)


def our_verdicts(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    seeds: Tensor,
    *,
    epsilon: float,
    batch_size: int,
    options: dict,
    library_seed: int | None = None,
) -> Verdicts:
    """Run our reference engine (L∞).

    Args:
        model: frozen, in evaluation mode.
        images: float32 [N, 3, H, W] in [0, 1].
        labels: int64 [N].
        seeds: int64 [N], the examples' own.
        epsilon: radius in pixel units.
        batch_size: examples attacked at a time.
        options: {"iterations", "queries", "targets"}.
        library_seed: draw as the library does with this seed; None draws by `seeds`.
    """
    logits = predict(model, images, batch_size)
    parts = components(logits.shape[1], epsilon, "linf", options)
    with contextlib.ExitStack() as stack:
        if library_seed is not None:
            parts = list(map(stack.enter_context(library_draws(library_seed)), parts))
        outcomes = run_ensemble(
            parts, model, images, labels, epsilon=epsilon, seeds=seeds, batch_size=batch_size,
            report=ignore_report,
        )  # fmt: skip
    standing = logits.argmax(1) == labels
    verdicts = {"clean": standing}
    for name, outcome in outcomes.items():
        standing = standing & (predict(model, outcome.adversarial, batch_size).argmax(1) == labels)
        verdicts[name] = standing
    return verdicts


def library_verdicts(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    batch_size: int,
    options: dict,
    seed: int,
) -> tuple[Verdicts, dict[str, float]]:
    """Run `robustbench.benchmark` on these images, and watch which example falls to which attack.

    Returns:
        The verdicts, and RobustBench's own {"clean": …, "robust": …} as fractions.
    """
    evaluation = import_robustbench("robustbench.eval")
    seen: Verdicts = {"clean": predict(model, images, batch_size).argmax(1) == labels}

    class Watched(evaluation.AutoAttack):
        fixed_seed, iterations = seed, options["iterations"]
        queries, targets = options["queries"], options["targets"]

        def run_standard_evaluation(
            self, x_orig: Tensor, y_orig: Tensor, bs: int = 250, state_path: Path | None = None
        ) -> Tensor:
            found, order = x_orig.clone(), list(self.attacks_to_run)
            for attack in order:
                standing = seen[list(seen)[-1]].clone()
                place = standing.nonzero().flatten()
                if len(place):  # as the library: each attack gets what the earlier ones left
                    self.attacks_to_run = [attack]
                    found[place] = super().run_standard_evaluation(x_orig[place], y_orig[place], bs)
                    standing[place] = (
                        predict(self.model, found[place], bs).argmax(1) == y_orig[place]
                    )
                seen[attack] = standing
            return found

    kept = evaluation.AutoAttack, evaluation.load_clean_dataset
    evaluation.AutoAttack = Watched
    evaluation.load_clean_dataset = lambda *_: (images, labels)
    try:
        clean, robust = evaluation.benchmark(
            model, len(images), "cifar10", "Linf", eps=epsilon, batch_size=batch_size,
            device=images.device,
        )  # fmt: skip
    finally:
        evaluation.AutoAttack, evaluation.load_clean_dataset = kept
    return seen, {"clean": clean, "robust": robust}
