"""The fast engine: the reference's attacks, cheaper; an example's result is its own."""

from __future__ import annotations

import contextlib

import pytest
import torch
from attack_models import Linear, convolutional, middle_images
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from timm.models.xcit import Xcit

from robustvit.attacks import apgd_ce, autoattack
from robustvit.attacks._apgd import LIBRARY_NORMS, random_start
from robustvit.attacks.fast import ensemble, losses
from robustvit.attacks.fast.apgd import APGD
from robustvit.attacks.fast.fab import FAB
from robustvit.attacks.fast.network import Network
from robustvit.attacks.fast.rows import Examples, Findings, Rows
from robustvit.attacks.fast.standard import search_limit, standard
from robustvit.attacks.support.outcome import ignore_report
from robustvit.core.errors import UserError
from robustvit.core.random import fold
from robustvit.models.speed import Speed

NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])


def run(model, images, labels, engine="fast", module=autoattack, **more):
    options = {"iterations": 8, "queries": 60, "engine": engine} | more.pop("options", {})
    settings = {"epsilon": 0.02, "norm": "linf", "num_classes": 4, "batch_size": 64}
    settings |= {"seeds": torch.arange(len(images)), "report": ignore_report} | more
    return module.run(model, images, labels, options=options, **settings)


def examples(count: int = 10, seed: int = 0, num_classes: int = 4):
    """A small convolutional network and images of which it is sure enough."""
    model = convolutional(num_classes).eval().requires_grad_(False)
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    logits = model(images)
    targets = logits.sort(dim=1).indices.flip(1)[:, 1:]
    return model, Examples(images, logits.argmax(1), targets, torch.arange(count))


def prepared(model, given: Examples) -> tuple[Network, Findings]:
    network = Network(model, model, speed=Speed(64, 20.0))
    network.count(given.labels)
    return network, Findings(given.images, given.labels, network.classify)


class Untouchable(Findings):
    """Nobody is ever broken, so that searches go on to their end."""

    def take(self, rows, points, broken):
        self.rows, self.broken = rows, broken
        return torch.arange(len(rows))


def tiny_xcit():
    """An untrained XCiT whose logits depend on the image enough to be attacked."""
    torch.manual_seed(0)
    model = Xcit(
        img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=4, eta=1.0,
        tokens_norm=True,
    )  # fmt: skip
    images = torch.rand(32, 3, 16, 16)
    model(images)
    with torch.no_grad():
        model.head.weight.normal_(std=3.0)
        model.head.bias -= model.eval()(images).mean(dim=0)
    return model


# What it tries is what the library tries.


@NORMS
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_an_ascent_is_the_librarys(norm: str, loss: str) -> None:
    """The same start leads to the same best point after steps, momentum and checkpoints."""
    model, given = examples()
    epsilon = 0.01 if norm == "linf" else 0.1
    measure = {"ce": losses.cross_entropy, "dlr": losses.dlr}[loss]
    start = random_start(given.images, fold(given.seeds, 0), epsilon, norm)
    library = APGDAttack(model, norm=LIBRARY_NORMS[norm], eps=epsilon, loss=loss, n_iter=40)
    library.init_hyperparam(given.images)
    best, _, value, _ = library.attack_single_run(given.images, given.labels, x_init=start)
    network, _ = prepared(model, given)
    found = Untouchable(given.images, given.labels, network.classify)
    APGD(network, measure, epsilon, norm, 40, 1, 99).attack(found, given)
    torch.testing.assert_close(found.rows.best_loss, value, rtol=1e-2, atol=1e-4)
    # Where two steps are equally good, rounding decides, and the paths part.
    apart = (found.rows.best - best).flatten(1).abs().amax(dim=1)
    assert float(apart.quantile(0.7)) < 1e-4


def test_a_targeted_ascent_is_the_librarys() -> None:
    model, given = examples()
    start = random_start(given.images, fold(given.seeds, 0), 0.01, "linf")
    library = APGDAttack_targeted(model, eps=0.01, n_iter=30)
    library.init_hyperparam(given.images)
    library.y_target = given.targets[:, 0]
    best, _, value, _ = library.attack_single_run(given.images, given.labels, x_init=start)
    network, _ = prepared(model, given)
    found = Untouchable(given.images, given.labels, network.classify)
    APGD(network, losses.targeted_dlr, 0.01, "linf", 30, 1, 99).attack(found, given)
    torch.testing.assert_close(found.rows.best_loss, value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.rows.best, best, rtol=0, atol=1e-4)


@NORMS
def test_a_pursuit_comes_as_near_as_the_librarys(norm: str) -> None:
    model, given = examples()
    library = FABAttack_PT(model, norm=LIBRARY_NORMS[norm], n_iter=20, eps=1.0, targeted=True)
    library.target_class = 2
    nearest = library.attack_single_run(given.images, given.labels, is_targeted=True)
    order = torch.inf if norm == "linf" else 2
    expected = (nearest - given.images).flatten(1).norm(order, dim=1)
    distances = []

    class Watching(Untouchable):
        def take(self, rows, points, broken):
            wrong = model(points).argmax(1) != rows.label
            away = (points - rows.clean).flatten(1).norm(order, dim=1)
            distances.append(torch.where(wrong, away, torch.inf))
            return super().take(rows, points, broken)

    network, _ = prepared(model, given)
    found = Watching(given.images, given.labels, network.classify)
    FAB(network, 1e-6, norm, 20, 1, 99).attack(found, given)
    found_distance = torch.stack(distances).amin(dim=0)
    assert torch.isfinite(found_distance).all()
    torch.testing.assert_close(found_distance, expected, rtol=1e-4, atol=1e-6)


@NORMS
def test_both_engines_walk_the_same_path_in_square(norm: str) -> None:
    """Square draws the same numbers, so its adversarial images are the same."""
    model, labelled = examples(count=16, seed=3)
    images, labels = labelled.images, labelled.labels
    epsilon = 0.006 if norm == "linf" else 0.2
    settings = {"iterations": 1, "queries": 80, "targets": 3, "restarts": 1}
    square = standard(4, epsilon, norm, settings, limit=64)[3]
    given = Examples(images, labels, labels[:, None], fold(torch.arange(16), 3))
    network, found = prepared(model.requires_grad_(False), given)
    square.build(network).attack(found, given)
    theirs = autoattack.components(4, epsilon, norm, settings)[3].build(model)
    expected = theirs.attack(images, labels, given.seeds)
    broken = model(expected).argmax(1) != labels
    assert torch.equal(~found.standing, broken)
    assert 0 < int(broken.sum()) < 16
    torch.testing.assert_close(found.images[broken], expected[broken], rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_classes", [2, 3, 4, 12])
def test_the_engines_have_the_same_components(num_classes: int) -> None:
    settings = {"iterations": 3, "queries": 4, "targets": 9, "restarts": 1}
    fast = [part.plan.name for part in standard(num_classes, 0.1, "linf", settings, 8)]
    reference = autoattack.components(num_classes, 0.1, "linf", settings)
    assert fast == [part.name for part in reference]


@NORMS
@pytest.mark.parametrize("seed", [1, 2])
def test_no_example_withstands_that_the_reference_breaks(norm: str, seed: int) -> None:
    model, given = examples(count=40, seed=seed)
    more = {"epsilon": 0.004 if norm == "linf" else 0.06, "norm": norm}
    left = {}
    for engine in ("fast", "reference"):
        outcomes = run(model, given.images, given.labels, engine, **more)
        left[engine] = torch.stack(
            [model(o.adversarial).argmax(1) == given.labels for o in outcomes.values()]
        ).all(dim=0)
    assert not (left["fast"] & ~left["reference"]).any()
    assert 0 < int(left["reference"].sum()) < 40


class Branching(torch.nn.Module):
    """Takes another way for images of low contrast, which noise never is."""

    def __init__(self) -> None:
        super().__init__()
        self.usual, self.other = convolutional(seed=1), convolutional(seed=2)

    def forward(self, x):
        return self.usual(x) if x.std() < 0.2 else self.other(x)


def test_a_model_whose_python_looks_at_pixels_is_not_taken_for_another() -> None:
    model = Branching().eval()
    images = 0.5 + 0.1 * torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels, left = model(images).argmax(1), {}
    for engine in ("fast", "reference"):
        outcomes = run(model, images, labels, engine, epsilon=0.03)
        left[engine] = [model(o.adversarial).argmax(1) == labels for o in outcomes.values()]
    fast, reference = (torch.stack(left[e]).all(dim=0) for e in ("fast", "reference"))
    assert not (fast & ~reference).any()
    assert int(reference.sum()) < 32


def test_a_copy_whose_bits_hang_on_the_batch_is_not_asked(monkeypatch) -> None:
    class Hanging(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x) + 1e-3 * torch.arange(len(x))[:, None] * x.flatten(1)[:, :4]

    model, given = examples(count=20)
    monkeypatch.setattr(ensemble, "quicker", lambda *_: contextlib.nullcontext(Hanging().eval()))
    whole, parts = (
        run(model, given.images, given.labels, epsilon=0.004, batch_size=size) for size in (50, 7)
    )
    assert_same(whole, parts)


# An example's result is its own.


def assert_same(one: dict, other: dict) -> None:
    for name, outcome in one.items():
        assert torch.equal(outcome.ran, other[name].ran)
        assert torch.equal(outcome.adversarial, other[name].adversarial), name
        assert torch.equal(outcome.queries, other[name].queries), name


@NORMS
@pytest.mark.parametrize("build", [convolutional, tiny_xcit])
def test_every_bit_is_the_same_in_any_shard_and_batch(build, norm: str) -> None:
    model, size = build().eval(), 8 if build is convolutional else 16
    images = torch.rand(25, 3, size, size, generator=torch.Generator().manual_seed(1))
    labels, seeds = model(images).argmax(1), torch.arange(25) * 3
    epsilon = {"linf": 0.004, "l2": 0.06}[norm] * (1 if size == 8 else 2)
    whole = run(model, images, labels, epsilon=epsilon, norm=norm, seeds=seeds, batch_size=50)
    assert 0 < int(whole["square"].ran.sum()) < 25
    for shards, size in ((1, 16), (3, 50), (8, 16)):
        pieces = [
            run(model, images[of], labels[of], epsilon=epsilon, norm=norm, seeds=seeds[of],
                batch_size=size)
            for of in torch.arange(25).tensor_split(shards)
        ]  # fmt: skip
        for name, outcome in whole.items():
            for field in ("ran", "adversarial", "queries"):
                joined = torch.cat([getattr(piece[name], field) for piece in pieces])
                assert torch.equal(joined, getattr(outcome, field)), (name, field, shards)


def test_how_many_search_at_a_time_changes_nothing(monkeypatch) -> None:
    model, given = examples(count=9)
    results = []
    for limit in (1, 4, 999):
        monkeypatch.setattr(autoattack, "search_limit", lambda *_, limit=limit: limit)
        results.append(run(model, given.images, given.labels, epsilon=0.003))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_searches_are_limited_by_the_memory_they_take() -> None:
    assert search_limit(torch.zeros(5, 3, 32, 32), 64) == 256
    large = search_limit(torch.zeros(5, 3, 224, 224), 1024)
    assert large * 24 * 3 * 224 * 224 * 4 <= 2 << 30
    assert large > 100


def test_asking_ahead_does_not_change_squares_path(monkeypatch) -> None:
    model, given = examples(count=6)
    results = []
    for count in (1, 4, 7):
        monkeypatch.setattr(Network, "ahead", lambda self, *_, count=count: count)
        results.append(run(model, given.images, given.labels, epsilon=0.003))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_more_is_asked_ahead_where_little_is_accepted_and_batches_are_small() -> None:
    network = Network(convolutional(), convolutional(), speed=Speed(128, 20.0))
    assert network.ahead(1, 1.0) == network.ahead(4, 0.999) == 16
    assert network.ahead(128, 1.0) == network.ahead(200, 1.0) == 1  # the batch is full
    assert network.ahead(30, 0.0) == 1  # all after the first would be in vain
    assert 1 < network.ahead(8, 0.8) < network.ahead(8, 0.95) <= 16
    assert Network(None, None, speed=Speed(128, 0.0)).ahead(8, 0.9) == 1  # nothing to gain


def test_whoever_is_broken_asks_no_more() -> None:
    """Passes are counted per example; only those who stand do the whole work."""
    model, images = Linear(4, seed=3), middle_images(24, seed=5, spread=0.2)
    labels = model(images).argmax(1)
    gap = (model(images).gather(1, labels[:, None]) - model(images)).detach()
    own = (model.weight[labels][:, None] - model.weight[None]).detach()
    reach = (gap / own.abs().sum(-1).clamp(min=1e-9)).topk(2, largest=False).values[:, 1]
    epsilon = float(reach.median()) * 1.001
    outcomes = run(model, images, labels, epsilon=epsilon)
    stands = reach > 1.05 * epsilon
    plan = {"apgd-ce": 9, "apgd-t": 27, "fab-t": 48, "square": 61}
    for name, passes in plan.items():
        assert (outcomes[name].queries[stands] == passes).all(), name
    assert (outcomes["apgd-ce"].queries[reach < 0.5 * epsilon] < 9).all()
    assert (outcomes["square"].queries[reach < 0.5 * epsilon] == 0).all()


def test_an_example_leaves_with_the_first_of_its_targets_that_works() -> None:
    images = torch.zeros(2, 3, 4, 4)
    labels = torch.zeros(2, dtype=torch.int64)

    def classify(points, owners):
        return torch.stack([torch.zeros(len(points)), torch.ones(len(points))], dim=1)

    found = Findings(images, labels, classify)
    searches = Rows(torch.tensor([0, 0, 0, 1, 1, 1]))
    points = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 3, 4, 4)
    left = found.take(searches, points, torch.tensor([0, 1, 1, 0, 0, 0]).bool())
    assert left.tolist() == [3, 4, 5]
    assert found.images[0].unique().tolist() == [1.0]
    assert found.standing.tolist() == [False, True]


def test_what_only_breaks_the_copy_does_not_count() -> None:
    """The model that is evaluated has the last word."""
    model, given = examples(count=5)
    _, found = prepared(model, given)
    searches, claims = Rows(torch.arange(5)), torch.ones(5, dtype=torch.bool)
    left = found.take(searches, given.images.clone(), claims)
    assert left.tolist() == list(range(5))
    assert found.standing.all()


def test_an_unknown_engine_is_refused() -> None:
    model, given = examples(count=2)
    for module in (autoattack, apgd_ce):
        with pytest.raises(UserError, match="engine"):
            run(model, given.images, given.labels, "faster", module=module)
