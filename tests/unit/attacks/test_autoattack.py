"""AutoAttack: parity with pyautoattack, few classes, no trace, no dependence on the batch."""

from __future__ import annotations

import pytest
import torch
from attack_models import Linear, convolutional, middle_images
from pyautoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.square import SquareAttack

from robustvit.attacks import _apgd, _square, apgd_ce, autoattack
from robustvit.attacks.support.outcome import AttackOutcome, ignore_report
from robustvit.core.errors import UserError

QUICK = {"iterations": 15, "queries": 150}
ENGINES = pytest.mark.parametrize("engine", ["reference", "fast"])


def run(
    model, images, labels, num_classes=4, epsilon=0.02, norm="linf", module=autoattack,
    engine="reference", **more,
):  # fmt: skip
    settings = {"seeds": torch.arange(len(images)), "options": QUICK, "batch_size": 64}
    settings |= {"report": ignore_report} | more
    settings["options"] = settings["options"] | {"engine": engine}
    return module.run(
        model, images, labels, epsilon=epsilon, norm=norm, num_classes=num_classes, **settings
    )


def broken(model, outcomes, labels) -> torch.Tensor:
    wrong = torch.zeros(len(labels), dtype=torch.bool)
    for outcome in outcomes.values():
        wrong |= model(outcome.adversarial).argmax(1) != labels
    return wrong


def easy_and_hard(num_classes: int, norm: str, epsilon: float, count: int = 24):
    """A linear model with images just inside and just outside of what the attack can reach."""
    model, images = Linear(num_classes, seed=3), middle_images(count, seed=5, spread=0.2)
    labels = model(images).argmax(1)
    logits, others = model(images), torch.ones(count, num_classes, dtype=torch.bool)
    others[torch.arange(count), labels] = False
    own = model.weight[labels][:, None]
    difference = own - model.weight[None]
    dual = difference.abs().sum(-1) if norm == "linf" else difference.norm(dim=-1)
    gap = logits.gather(1, labels[:, None]) - logits
    reach = (gap / dual.clamp(min=1e-9)).masked_fill(~others, torch.inf).amin(1)
    return model, images, labels, reach.detach()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("num_classes", [2, 3, 4, 7])
@ENGINES
def test_verdicts_of_a_linear_model_are_exact(engine: str, num_classes: int, norm: str) -> None:
    model, images, labels, reach = easy_and_hard(num_classes, norm, 0)
    epsilon = float(reach.median()) * 1.001
    outcomes = run(model, images, labels, num_classes, epsilon, norm, engine=engine)
    clear = (reach - epsilon).abs() > 0.02 * epsilon
    assert torch.equal(broken(model, outcomes, labels)[clear], (reach < epsilon)[clear])
    assert outcomes["apgd-ce"].ran.all()
    assert not outcomes["square"].ran[reach < 0.95 * epsilon].any()


@pytest.mark.parametrize(
    ("num_classes", "second"), [(2, "apgd-margin"), (3, "apgd-dlr"), (4, "apgd-t"), (12, "apgd-t")]
)
def test_components_follow_the_number_of_classes(num_classes: int, second: str) -> None:
    parts = autoattack.components(num_classes, 0.1, "linf", {})
    assert [part.name for part in parts] == ["apgd-ce", second, "fab-t", "square"]
    fab = parts[2].build(None)
    assert fab.n_target_classes == min(9, num_classes - 1)


def test_one_class_is_refused() -> None:
    with pytest.raises(UserError, match="num_classes"):
        autoattack.components(1, 0.1, "linf", {})


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("part", range(4))
def test_each_component_stays_in_the_ball(part: int, norm: str) -> None:
    model, images = convolutional().eval(), torch.rand(12, 3, 8, 8)
    labels, epsilon = model(images).argmax(1), 0.05 if norm == "linf" else 0.5
    options = {"iterations": 5, "queries": 60}
    attack = autoattack.components(4, epsilon, norm, options)[part].build(model)
    found = attack.attack(images, labels, torch.arange(12)).detach()
    delta = (found - images).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert size.max() <= epsilon + 1e-5
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_examples_do_not_depend_on_their_batch(norm: str) -> None:
    model, images, labels, reach = easy_and_hard(4, norm, 0, count=10)
    epsilon = float(reach.median()) * 1.001
    whole = run(model, images, labels, epsilon=epsilon, norm=norm)
    small = run(model, images, labels, epsilon=epsilon, norm=norm, batch_size=3)
    for name, outcome in whole.items():
        assert torch.equal(outcome.ran, small[name].ran)
        torch.testing.assert_close(outcome.adversarial, small[name].adversarial, rtol=0, atol=1e-5)


def test_the_reference_counts_every_pass_of_an_example() -> None:
    """Who withstands an attack takes part in all of it, who is broken in the rounds up to then."""
    model, images, labels, reach = easy_and_hard(4, "linf", 0)
    epsilon, calls = float(reach.median()) * 1.001, [0]
    handle = model.register_forward_hook(lambda m, x, y: calls.__setitem__(0, calls[0] + len(x[0])))
    options = {"iterations": 5, "queries": 30}
    outcomes = run(model, images, labels, epsilon=epsilon, options=options)
    handle.remove()
    stands = reach > 1.05 * epsilon
    whole = {"apgd-ce": 6, "apgd-t": 3 * 6, "fab-t": 3 * (2 + 2 * 5 + 1), "square": 31}
    for name, outcome in outcomes.items():
        assert (outcome.queries[stands] == whole[name]).all(), name
        assert (outcome.queries[~outcome.ran] == 0).all(), name
        assert (outcome.queries <= whole[name]).all(), name
    counted = sum(int(outcome.queries.sum()) for outcome in outcomes.values())
    # Besides: who stands at first and after every attack, and APGD-T's look for its targets.
    looks = 5 * len(images) + int(outcomes["apgd-t"].ran.sum())
    assert counted + looks == calls[0]


@ENGINES
def test_leaves_no_trace(engine: str) -> None:
    model, images = convolutional(), torch.rand(6, 3, 8, 8)
    labels = torch.arange(6) % 4
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    run(model, images, labels, options={"iterations": 3, "queries": 5}, engine=engine)
    assert torch.equal(random, torch.get_rng_state())
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@ENGINES
def test_zero_epsilon_changes_nothing(engine: str) -> None:
    model, images = Linear(4), middle_images(5)
    labels = model(images).argmax(1)
    for outcome in run(model, images, labels, epsilon=0.0, engine=engine).values():
        assert torch.equal(outcome.adversarial, images)
        assert outcome.ran.all()


@ENGINES
def test_channels_last_images_are_attacked(engine: str) -> None:
    """pyautoattack itself stops with an error for them."""
    model, images = Linear(4), middle_images(5).to(memory_format=torch.channels_last)
    few, labels = {"iterations": 2, "queries": 2}, model(images).argmax(1)
    outcomes = run(model, images, labels, options=few, engine=engine)
    assert len(outcomes) == 4


@ENGINES
def test_finished_components_are_not_run_again(engine: str) -> None:
    model, images = Linear(4), middle_images(6)
    labels = model(images).argmax(1)

    class Memory:
        def __init__(self):
            self.kept, self.saved = {}, []

        def load(self, name: str) -> AttackOutcome | None:
            return self.kept.get(name)

        def save(self, name: str, outcome: AttackOutcome) -> None:
            self.saved.append(name)
            self.kept[name] = outcome

    memory = Memory()
    first = run(model, images, labels, checkpoint=memory, engine=engine)
    del memory.kept["square"]
    memory.saved.clear()
    second = run(model, images, labels, checkpoint=memory, engine=engine)
    assert memory.saved == ["square"]
    for name in first:
        assert torch.equal(first[name].adversarial, second[name].adversarial)


@ENGINES
def test_progress_goes_from_nothing_to_all(engine: str) -> None:
    seen = []
    model, images = Linear(4), middle_images(6)
    labels = model(images).argmax(1)
    run(model, images, labels, report=lambda f, note: seen.append(f), engine=engine)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert all(0 <= fraction <= 1 for fraction in seen)


# Parity with the library: with its own draws put back our classes are the library's attacks.


def library_draws(monkeypatch) -> None:
    monkeypatch.setattr(_apgd, "random_start", lambda *arguments: None)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_apgd_is_the_librarys(monkeypatch, norm: str, loss: str) -> None:
    library_draws(monkeypatch)
    model, images = convolutional().eval(), torch.rand(10, 3, 8, 8)
    labels, epsilon = model(images).argmax(1), 0.01 if norm == "linf" else 0.1
    library = APGDAttack(
        model,
        norm=_apgd.LIBRARY_NORMS[norm],
        eps=epsilon,
        loss=loss,
        n_iter=10,
        n_restarts=2,
        seed=7,
    )
    ours = _apgd.SeededAPGD(model, epsilon=epsilon, norm=norm, loss=loss, restarts=2, iterations=10)
    expected = library.perturb(images, labels)
    torch.manual_seed(7)
    assert torch.equal(ours.attack(images, labels, torch.arange(10)), expected)
    assert (model(expected).argmax(1) != labels).any()


def test_targeted_apgd_is_the_librarys(monkeypatch) -> None:
    library_draws(monkeypatch)
    model, images = convolutional().eval(), torch.rand(10, 3, 8, 8)
    labels = model(images).argmax(1)
    library = APGDAttack_targeted(model, eps=0.01, n_iter=10, n_target_classes=3, seed=7)
    ours = _apgd.SeededTargetedAPGD(model, epsilon=0.01, norm="linf", targets=3, iterations=10)
    expected = library.perturb(images, labels)
    torch.manual_seed(7)
    assert torch.equal(ours.attack(images, labels, torch.arange(10)), expected)


def test_square_is_the_librarys(monkeypatch) -> None:
    """For one image the library's draws per batch are draws per example."""
    model, images = convolutional().eval(), torch.rand(1, 3, 8, 8)
    labels = model(images).argmax(1)
    library = SquareAttack(model, eps=0.004, n_queries=80, resc_schedule=False, seed=7)
    expected = library.perturb(images, labels)
    last = library.attack_single_run

    torch.manual_seed(7)
    expected_point = last(images, labels)[1]
    torch.manual_seed(7)

    def draw(seeds, shape, device=None):
        if len(shape) == 1:  # the library draws row, column and signs in calls of their own
            return torch.cat([torch.rand(1), torch.rand(1), torch.rand(3, 1, 1).flatten()])[None]
        return torch.rand(1, *shape)

    monkeypatch.setattr(_square, "uniform", draw)
    ours = _square.SeededSquare(model, epsilon=0.004, norm="linf", queries=80)
    found = ours.attack(images, labels, torch.arange(1))
    torch.testing.assert_close(found, expected_point, rtol=0, atol=1e-6)
    assert expected.shape == found.shape


@pytest.mark.parametrize("norm", ["linf", "l2"])
@ENGINES
def test_verdicts_agree_with_the_librarys_autoattack(engine: str, norm: str) -> None:
    model, images, labels, reach = easy_and_hard(6, norm, 0)
    epsilon = float(reach.median()) * 1.001
    library = AutoAttack(model, norm=_apgd.LIBRARY_NORMS[norm], eps=epsilon, seed=0)
    library.apgd_targeted.n_target_classes = library.fab.n_target_classes = 5
    for part in (library.apgd, library.apgd_targeted, library.fab):
        part.n_iter = 15
    library.square.n_queries = 150
    theirs = library.run_standard_evaluation(images, labels, batch_size=64)[0]
    ours = broken(model, run(model, images, labels, 6, epsilon, norm, engine=engine), labels)
    clear = (reach - epsilon).abs() > 0.02 * epsilon
    assert torch.equal(ours[clear], (model(theirs).argmax(1) != labels)[clear])


@ENGINES
def test_apgd_ce_with_restarts_is_at_least_as_strong_as_one_start(engine: str) -> None:
    model, images = convolutional().eval(), torch.rand(20, 3, 8, 8)
    labels = model(images).argmax(1)
    results = {
        restarts: run(
            model, images, labels, epsilon=0.004, module=apgd_ce, engine=engine,
            options={"restarts": restarts, "iterations": 5},
        )
        for restarts in (1, 5)
    }  # fmt: skip
    assert list(results[5]) == ["apgd-ce-5"]
    one, five = (broken(model, results[restarts], labels) for restarts in (1, 5))
    assert (five | ~one).all()
