"""The training loop: determinism, resuming, stopping, selection."""

from __future__ import annotations

import copy
import os
import signal

import pytest
import torch
from training_samples import synthetic, train_spec

from robustvit.core.errors import UserError
from robustvit.data.reading import TfdsImages
from robustvit.models.normalization import inner_model
from robustvit.training import engine
from robustvit.training.datasets import open_data
from robustvit.training.devices import open_device
from robustvit.training.engine import Diverged, Trainer
from robustvit.training.interruption import Interrupted
from robustvit.training.job import hash_inputs
from robustvit.training.outputs import select_epoch
from robustvit.training.plan import Plan
from robustvit.training.state import StateFolder

VARIANTS = {
    "clean": train_spec(loss={"name": "clean"}) | {"threat": None},
    "adversarial": train_spec(),
    "trades_ema_mixup": train_spec(
        loss={"name": "trades"},
        attack={"steps": 2},
        ema_decay=0.9,
        clip_grad_norm=1.0,
        augmentation={"mixup": 0.8, "cutmix": 1.0, "randaugment": "rand-m9-mstd0.5-inc1"},
    ),
    "synthetic_repeated": train_spec(augmentation={"repeats": 2}) | synthetic(),
    "best_accumulated_sgd": train_spec(
        selection="test", accumulation=2, optimizer={"name": "sgd", "lr": 0.01}
    ),
}


def weights(run) -> dict[str, torch.Tensor]:
    return inner_model(run.evaluated_model).state_dict()


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def interrupt_after(monkeypatch, steps: int, error: type[Exception]) -> None:
    """Let training fail after that many further steps, between two steps."""
    real, left = engine.train_step, [steps]

    def counted(*arguments):
        if left[0] == 0:
            raise error("stopped by the test")
        left[0] -= 1
        real(*arguments)

    monkeypatch.setattr(engine, "train_step", counted)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_has_the_same_weights(variant, make_plan, train, tmp_path, monkeypatch):
    spec = VARIANTS[variant]
    whole = train(spec)
    states = StateFolder(tmp_path / "resumed")
    for steps in (1, 2, 3):  # stops inside the first epoch, and at and after its end
        with monkeypatch.context() as patch:
            interrupt_after(patch, steps, RuntimeError)
            with pytest.raises(RuntimeError):
                Trainer(make_plan(spec), states, save_every=0).train()
    resumed = Trainer(make_plan(spec), states).train()
    assert_same(weights(whole), weights(resumed))
    timed = ("images_per_second", "seconds", "memory_mb")
    for ours, theirs in zip(whole.rows, resumed.rows, strict=True):
        assert {k: v for k, v in ours.items() if k not in timed} == {
            k: v for k, v in theirs.items() if k not in timed
        }


def test_a_corrupt_newest_state_still_gives_the_same_weights(make_plan, train, tmp_path):
    whole = train(train_spec())
    states = StateFolder(tmp_path / "corrupt")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 5, RuntimeError)
        with pytest.raises(RuntimeError):
            Trainer(make_plan(train_spec()), states, save_every=0).train()
    newest = states.generations()[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    assert_same(weights(whole), weights(Trainer(make_plan(train_spec()), states).train()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_at_the_end_of_the_step(number, make_plan, train, tmp_path, monkeypatch):
    states, real = StateFolder(tmp_path / "signal"), engine.train_step

    def signalled(plan, run, loaded):
        real(plan, run, loaded)
        if run.step == 3:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(engine, "train_step", signalled)
    with pytest.raises(Interrupted, match=signal.Signals(number).name):
        Trainer(make_plan(train_spec()), states).train()
    assert states.load()["step"] == 3
    monkeypatch.undo()
    assert_same(
        weights(train(train_spec())), weights(Trainer(make_plan(train_spec()), states).train())
    )
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_during_the_evaluation_is_not_lost(make_plan, tmp_path, monkeypatch):
    plan, states = make_plan(train_spec()), StateFolder(tmp_path / "evaluation")
    trainer = Trainer(plan, states)
    real = plan.evaluation_context

    def signalled(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(plan, "evaluation_context", signalled)
    with pytest.raises(Interrupted):
        trainer.train()
    assert states.load()["step"] == plan.steps_per_epoch
    assert states.load()["rows"] == []


def test_nan_stops_and_keeps_the_last_good_state(make_plan, tmp_path, monkeypatch):
    states, real = StateFolder(tmp_path / "nan"), engine.train_step

    def poisoned(plan, run, loaded):
        if run.step == 5:
            next(run.model.parameters()).data.fill_(float("nan"))
        real(plan, run, loaded)

    monkeypatch.setattr(engine, "train_step", poisoned)
    with pytest.raises(Diverged, match=r"NaN .* at step 6 .*state-000000000005"):
        Trainer(make_plan(train_spec()), states, save_every=0).train()
    assert states.load()["step"] == 5


def test_weights_that_are_not_finite_are_never_saved(make_plan, tmp_path):
    trainer = Trainer(make_plan(train_spec()), StateFolder(tmp_path / "weights"))
    next(trainer.run.model.parameters()).data.fill_(float("inf"))
    with pytest.raises(Diverged, match="No state was saved"):
        trainer.save()


@pytest.mark.parametrize("mixture", [{}, synthetic(0.25)], ids=["real", "mixed"])
def test_data_workers_do_not_change_the_result(train, mixture):
    repeats = 3 if mixture else 1
    spec = train_spec(epochs=1, evaluate_examples=8, augmentation={"repeats": repeats}) | mixture
    assert_same(weights(train(spec)), weights(train(spec, workers=2)))


def test_the_seed_alone_decides(train):
    spec = train_spec(epochs=1)
    torch.manual_seed(1)
    first = weights(train(spec))
    torch.manual_seed(2)
    assert_same(first, weights(train(spec)))
    other = weights(train(spec | {"seed": 43}))
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_training_leaves_the_global_random_state_alone(train):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(train_spec(epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_a_tiny_set_is_learned_to_full_robust_accuracy(train):
    spec = train_spec(
        epochs=30,
        label_smoothing=0.0,
        drop_path=0.0,
        optimizer={"lr": 1e-2, "weight_decay": 0.0},
        evaluate_every=30,
    )
    last = train(spec).rows[-1]
    assert last["train_robust_top1"] == 1.0
    assert last["eval_robust_top1"] == 1.0
    assert last["eval_clean_top1"] == 1.0


def test_rows_have_what_was_measured(train):
    rows = train(train_spec(epochs=3, evaluate_every=2)).rows
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert [row["eval_robust_top1"] is None for row in rows] == [True, False, False]
    assert rows[0]["train_clean_top1"] is None
    assert rows[-1]["epsilon_255"] == 4.0
    assert rows[0]["images_per_second"] > 0
    clean = train(VARIANTS["clean"]).rows
    assert clean[0]["train_robust_top1"] is None
    assert clean[0]["eval_robust_top1"] is None
    assert clean[0]["epsilon_255"] == 0.0


def test_the_best_epoch_is_selected(make_plan, tmp_path, monkeypatch):
    plan = make_plan(train_spec(epochs=3, selection="test"))
    scores = iter([0.2, 0.9, 0.9])
    kept = []

    def evaluate(context):
        kept.append(copy.deepcopy(inner_model(context.model).state_dict()))
        return {"clean": 0.5, "robust": next(scores)}

    monkeypatch.setattr(plan.evaluator, "evaluate", evaluate)
    run = Trainer(plan, StateFolder(tmp_path)).train()
    assert select_epoch(plan, run) == 1
    assert_same(weights(run), kept[1])


def test_the_holdout_is_never_trained_on(make_plan):
    plan = make_plan(train_spec(selection="holdout", holdout_fraction=0.25))
    data = plan.data
    assert data.evaluation_split == "holdout"
    assert len(data.train_indices) == 48
    assert len(data.evaluation_indices) == 16
    assert not set(data.train_indices) & set(data.evaluation_indices)
    other = make_plan(train_spec(selection="holdout", holdout_fraction=0.25) | {"seed": 1})
    assert list(other.data.evaluation_indices) == list(data.evaluation_indices)


def test_a_holdout_never_opens_the_test_set(colours, drawn, tmp_path, monkeypatch):
    spec = train_spec(selection="holdout", holdout_fraction=0.25, epochs=1) | synthetic()
    opened = []
    real = TfdsImages.__init__

    def watched(self, manifest, read):
        opened.append((manifest, read["split"]))
        real(self, manifest, read)

    monkeypatch.setattr(TfdsImages, "__init__", watched)
    missing = tmp_path / "missing" / "manifest.json"
    data = open_data(spec, colours, missing, drawn)
    assert opened == [(colours, "train"), (drawn, "train")]
    run = Trainer(Plan(spec, data, open_device("cpu", 1)), StateFolder(tmp_path / "run")).train()
    assert run.rows[0]["eval_split"] == "holdout"
    inputs = hash_inputs(spec, colours, missing, None, drawn)
    assert inputs["evaluation"] is None
    assert inputs["synthetic"] != inputs["train"]
    assert hash_inputs(train_spec(), colours, colours, None)["evaluation"] == inputs["train"]


@pytest.mark.parametrize("selection", ["last", "holdout"])
def test_only_selection_by_accuracy_keeps_a_best_epoch(selection, train):
    run = train(train_spec(selection=selection, holdout_fraction=0.25))
    assert (run.best is None) == (selection == "last")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"batch_size": 65}, "recipe.batch_size 65"),
        ({"accumulation": 3}, "3 parts by recipe.accumulation"),
        ({"selection": "holdout"}, "recipe.holdout_fraction"),
        ({"selection": "best"}, "recipe.selection"),
        ({"loss": {"name": "trade"}}, 'Did you mean "trades"'),
        ({"precision": "fp8"}, "recipe.precision"),
        ({"batch_size": 15, "augmentation": {"mixup": 0.8}}, "even batch"),
        ({"optimizer": {"name": "adamm"}}, 'recipe.optimizer.name.*Did you mean "adam'),
        ({"attack": {"name": "fgsm", "steps": 2}}, "recipe.attack.steps"),
        ({"attack": {"targeted": True}, "loss": {"name": "trades"}}, "recipe.attack.targeted"),
        ({"augmentation": {"randaugment": "rand-x9"}}, "augmentation.randaugment"),
    ],
)
def test_wrong_recipes_are_answered_with_the_key(recipe, message, train):
    with pytest.raises(UserError, match=message):
        train(train_spec(**recipe))


def test_bf16_and_views_train(train):
    spec = train_spec(epochs=1, precision="bf16", augmentation={"views": 3, "color_jitter": 0.4})
    row = train(spec).rows[0]
    assert 0 < row["train_loss"] < 10
