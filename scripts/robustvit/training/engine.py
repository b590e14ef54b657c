"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.progress import Progress
from robustvit.training.interruption import Interrupted, InterruptionFlag, interruptions
from robustvit.training.kept import keep_weights
from robustvit.training.loading import train_loader
from robustvit.training.metrics import note, step_row, watched_row
from robustvit.training.monitor import Monitor
from robustvit.training.plan import Plan
from robustvit.training.run import Run, start_run
from robustvit.training.schedules import kept_epochs
from robustvit.training.state import StateFolder, check_finite
from robustvit.training.step import train_step
from robustvit.training.tallies import Tallies

GO_ON, SAVE, STOP = range(3)


class Diverged(UserError):
    """The loss or a weight is no longer a finite number."""


class Trainer:
    """Train one experiment to its end, from wherever an earlier process left it.

    Args:
        plan: the experiment with its data and device.
        states: where the resumable state is kept.
        init_weights: weights to fine-tune, if the experiment has an `init`.
        save_every: least number of seconds between two states on the disk; 0 saves every step.
    """

    def __init__(
        self,
        plan: Plan,
        states: StateFolder,
        init_weights: Path | None = None,
        save_every: float = 60.0,
    ) -> None:
        self.plan, self.states, self.save_every = plan, states, save_every
        self.run = start_run(plan.spec, plan.device, plan.share, init_weights)
        state = plan.device.share(states.load)
        if state is not None:
            self.run.restore(state, plan.device)
        self._saved_at = time.monotonic()
        self._flag = InterruptionFlag()
        self._kept = kept_epochs(plan.recipe, plan.epochs)
        self._note = ""
        self.monitor = Monitor([], every_steps=50, total_steps=plan.total_steps)

    def train(self) -> Run:
        """Run all epochs that are left and return the finished run.

        Raises:
            Interrupted: after a signal; the state is saved.
            Diverged: if the loss became NaN or infinite; the last good state is kept.
        """
        plan, run = self.plan, self.run
        label = f"train {plan.spec['experiment']}"
        with (
            interruptions() as self._flag,
            plan.device.fork_random_state(),
            Progress(plan.total_steps, "steps", label, quiet=not plan.device.is_main) as progress,
        ):
            progress.update(run.step)
            batches = iter(train_loader(plan.data.train, plan.batches_from(run.step), plan.workers))
            try:
                for epoch in range(len(run.rows), plan.epochs):
                    self.train_epoch(epoch, batches, progress)
                    self.finish_epoch(epoch)
                    self._stop_or_save()
            except Interrupted:
                self.save()
                raise
        self.save()
        return run

    def train_epoch(self, epoch: int, batches: Iterator, progress: Progress) -> None:
        """Take the steps of `epoch` that are left."""
        plan, run = self.plan, self.run
        run.model.train()
        end = (epoch + 1) * plan.steps_per_epoch
        while run.step < end:
            self._lap_started = time.perf_counter()
            train_step(plan, run, next(batches))
            self._look(end)
            self._lap()
            progress.update(run.step, self._note)
            if run.step < end:
                self._stop_or_save()

    def finish_epoch(self, epoch: int) -> None:
        """Evaluate where it is due, and write the epoch's row."""
        plan, run = self.plan, self.run
        started = time.perf_counter()
        scores = {}
        if plan.evaluates(epoch):
            context = plan.evaluation_context(run.evaluated_model, self._agree)
            scores = plan.evaluator.evaluate(context)
            if plan.recipe["selection"] != "last":
                run.keep_if_best(scores.get("robust", scores["clean"]), epoch)
            if plan.watcher is not None:
                scores |= plan.watcher.evaluate(
                    plan.watch_context(run.evaluated_model, self._agree)
                )
        run.rows.append(self._row(epoch, scores, time.perf_counter() - started))
        if epoch + 1 in self._kept and plan.device.is_main:
            keep_weights(self.states.folder, run, epoch + 1)
        self.monitor.epoch(run.rows[-1])
        run.tallies = Tallies()

    def save(self) -> None:
        """Write the state; a state with weights that are not finite is refused."""
        device = self.plan.device
        tallies = self.run.tallies.reduced(device.sum)
        self._saved_at = time.monotonic()
        if not device.is_main and not device.together:
            return
        # A program over several hosts is read by all of them, or by none.
        state = device.to_host(self.run.state(tallies))
        if not device.is_main:
            return
        self.monitor.flush()
        try:
            check_finite(state)
        except FloatingPointError as error:
            raise self._diverged("a weight became NaN or infinite") from error
        self.states.save(self.run.step, state)
        self._saved_at = time.monotonic()

    def _stop_or_save(self) -> None:
        """Do what any of the processes wants: a signal may reach one before the others."""
        due = time.monotonic() - self._saved_at >= self.save_every
        if self._agree(SAVE if due else GO_ON) == SAVE:
            self.save()

    def _agree(self, wish: int = GO_ON) -> int:
        """Agree with the other processes on what is next; between two batches, too.

        Raises:
            Interrupted: if a signal has reached any of them.
        """
        agreed = self.plan.device.agree(STOP if self._flag.signal is not None else wish)
        if agreed == STOP:
            self._flag.check()
            raise Interrupted("stopped with the other processes")
        return agreed

    def _lap(self) -> None:
        """Count the time since the last look at the clock as time of training steps."""
        now = time.perf_counter()
        self.run.tallies.seconds += now - self._lap_started
        self._lap_started = now

    def _look(self, end: int) -> None:
        """Look at the numbers where that is due; a look waits for an accelerator.

        Raises:
            Diverged: if the loss is no finite number.
        """
        plan, step = self.plan, self.run.step
        due = self.monitor.due(step)
        if not due and step % plan.device.check_every and step != end:
            return
        tallies = self.run.tallies.reduced(plan.device.sum)
        tallies.mean_loss()  # waits for what has been queued, which belongs to the time
        self._lap()
        tallies.seconds = self.run.tallies.seconds
        row = step_row(plan, step, tallies)
        if not math.isfinite(row["train_loss"]):
            raise self._diverged("the training loss became NaN or infinite")
        self._note = note(row)
        if due:
            self.monitor.step(step, row)

    def _diverged(self, what: str) -> Diverged:
        plan, step = self.plan, self.run.step
        kept = self.states.generations()
        state = f"The last good state is {kept[0]}" if kept else "No state was saved before"
        return Diverged(
            f"{plan.spec['experiment']}: {what} at step {step} (epoch "
            f"{(step - 1) // plan.steps_per_epoch}). {state}. Lower recipe.optimizer.lr, lengthen "
            "recipe.schedule.warmup_epochs, or set recipe.clip_grad_norm, for instance to 1.0."
        )

    def _row(self, epoch: int, scores: dict[str, float], evaluation_seconds: float) -> dict:
        plan, run = self.plan, self.run
        return {
            **step_row(plan, run.step, run.tallies.reduced(plan.device.sum)),
            "epoch": epoch,
            "eval_clean_top1": scores.get("clean"),
            "eval_robust_top1": scores.get("robust"),
            "seconds": run.tallies.seconds + evaluation_seconds,
            "eval_split": plan.data.evaluation_split,
            **watched_row(scores),
        }
