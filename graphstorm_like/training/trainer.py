"""The training loop, one for all tasks.

A run has a folder: checkpoints/ (resume points), best/ (the model that validation chose), metrics.jsonl. A run that is
killed at any moment and started again resumes from the newest resume point and ends with the same bits (on a CPU).
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.schedule import EarlyStopConfig
from graphstorm_like.device import peak_memory
from graphstorm_like.errors import LaunchError, TrainingError
from graphstorm_like.files import recover
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.inputs.choose import scored_inputs, unread_edge_types
from graphstorm_like.progress import ProgressMeter, Reporter, duration, shown
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.sampling.on_device import on_device
from graphstorm_like.training.artifacts import BEST
from graphstorm_like.training.checkpoint import Checkpoints, TrainState, check_folder
from graphstorm_like.training.ema import Ema
from graphstorm_like.training.experiment import Experiment
from graphstorm_like.training.kept import KeptModels
from graphstorm_like.training.memory_points import memory_folder
from graphstorm_like.training.optim import Optimizers
from graphstorm_like.training.stopping import ASK_TO_SAVE, Stopped, deferred, prompt, requested
from graphstorm_like.training.stragglers import Stragglers
from graphstorm_like.training.trackers import TrackedRun
from graphstorm_like.training.tracking import Tracker


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Result of a run."""

    best: float | None
    """None: it was not validated."""
    best_epoch: int
    epochs: int
    updates: int
    seconds: float
    """Time of this call; a resumed run counts only its own time."""


class Trainer:
    """Trains an experiment in a folder."""

    def __init__(self, experiment: Experiment, folder: Path, reporter: Reporter) -> None:
        self.experiment, self.folder, self.reporter = experiment, folder, reporter
        pipeline = experiment.pipeline
        self.config, self.seed = pipeline.train, pipeline.seed
        self.model, self.task, self.device = experiment.model, experiment.task, experiment.device
        self.learner, self.artifacts = experiment.learner, experiment.artifacts
        if self.config.evaluate_every is not None:
            self.task.check_validation()
        self.stream = self.learner.objective.stream(self.config.batch_size, self.seed)
        self.batches = self.learner.batches()
        self.ranks = experiment.task.group
        self.tables = list(self.learner.tables)
        self.optimizers = Optimizers(self.learner.groups(), list(self.artifacts.embeddings.values()), self.config)
        average = self.config.ema
        self.ema = None if average is None else Ema(self.optimizers.parameters, average.decay)
        self.checkpoints = self._checkpoints(folder / "checkpoints")
        self.kept = KeptModels(folder, self.config.keep_best, self.ranks)
        self.state = TrainState()
        self.tracker: Tracker
        self._last_update = 0.0
        self._epoch_started = 0.0
        self._stragglers = Stragglers(self.ranks, reporter.line)
        self._step_began = 0.0
        self._agreed = 0
        """The signal on which all ranks agree to stop."""

    def _checkpoints(self, folder: Path) -> Checkpoints:
        config, memory = self.config.checkpoint, None
        if config.memory_steps is not None and (memory := memory_folder(folder)) is None:
            self.reporter.line("resume points go to disk only: no launcher keeps shared memory for a single process")
        seconds = self.experiment.pipeline.launch.timeout_seconds
        return Checkpoints(folder, config.keep, self.ranks, self.reporter.line, memory, seconds)

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return -(-self.stream.steps // self.config.accumulate)

    def train(self) -> TrainResult:
        """Train until the last epoch or until validation stops improving; the best model is in `best/`.

        Raises Stopped, after a resume point, when this process was asked to stop by a signal.
        """
        started = time.monotonic()
        self.resume()
        with deferred():
            while not self.state.finished:
                self._epoch_started = time.monotonic()
                with self.reporter.meter(self._epoch_name(), self.stream.steps, ends=False) as meter:
                    self._validate_within()
                    self._last_update = self._step_began = time.monotonic()
                    for group in self._groups_until_stopped():
                        self.update(group, meter)
                self.end_epoch()
            self.checkpoints.finish()
        if self.kept.most > 1:  # a run that goes on from another's points has validated nothing when it is done already
            self.kept.write(self.state.kept, self.task.select_by)
            self.kept.clean(self.state.kept, [])
            self.ranks.barrier("the list of kept models")
        self.tracker.close()
        best_epoch = self.state.best_epoch
        assert best_epoch is not None
        seconds = time.monotonic() - started
        return TrainResult(self.state.best, best_epoch + 1, self.state.epoch, self.state.updates, seconds)

    def _epoch_name(self) -> str:
        return f"epoch {self.state.epoch + 1}/{self.config.epochs}"

    def resume(self) -> None:
        """Load the newest resume point, if there is one. DamagedFileError when the best model is not what was saved."""
        if self.ranks.leads_output and self.folder.exists():
            recover(self.folder)
        loaded = self.checkpoints.load(self.learner.trained, self.tables)
        if loaded is not None:
            self.state, optimizers = loaded
            for model in self.state.kept:
                check_folder(self.folder / model["folder"])
            self.kept.restore(self.state.kept, self.task.select_by)
            if self.state.best_epoch is not None and not self.state.kept:
                check_folder(self.folder / BEST)
            if self.ema is not None:
                self.ema.load(optimizers.pop("ema"))
            self.optimizers.load_state_dict(optimizers, str(self.checkpoints.folder))
            self.state.finished = self._is_finished()  # there may be more epochs to do than there were
            self.reporter.line(f"resuming at epoch {self.state.epoch + 1}, update {self.state.updates:,}")
        self.learner.at(self.state.updates)
        self.tracker = Tracker(self.folder, self.state.updates, self.ranks.leads_output)
        if self.ranks.rank == 0:
            self.tracker.also(self.config.track.trackers, self._tracked_run(), self.reporter.line)
        self.ranks.barrier("the start of training")

    def _tracked_run(self) -> TrackedRun:
        pipeline = self.experiment.pipeline
        settings = pipeline.model_dump(mode="json")
        name = f"{pipeline.name}/{self.folder.name}"
        return TrackedRun(pipeline.name, name, self.folder, settings, self.state.updates)

    def groups(self) -> Iterator[list[MiniBatch]]:
        """The rest of this epoch's batches, on the device, as many at a time as an optimizer step accumulates."""
        group: list[MiniBatch] = []
        first = self.state.step
        while first < self.stream.steps:
            end = self._refreshed_until(first)
            batches = epoch_batches(
                self.batches,
                self.stream,
                self.state.epoch,
                first_step=first,
                end_step=end,
                workers=self.config.workers,
                timeout_seconds=self.config.timeout_seconds,
            )
            for batch in on_device(batches, self.device):
                group.append(batch)
                if len(group) == self.config.accumulate or batch.position.step == self.stream.steps - 1:
                    yield group
                    group = []
            first = end

    def _refreshed_until(self, first: int) -> int:
        """Refresh what the task makes of the model, if it is time; the step at which it is time again, or the end of
        the epoch. Batches are made in advance, so none may be made across a refresh."""
        every = self.task.refresh_steps
        if every is None:
            return self.stream.steps
        updates = self.state.updates
        if self.task.must_refresh(updates):
            self.learner.before_validation()
            self.task.refresh(self.experiment.embedder(), updates)
        self.task.take_up()
        return min(self.stream.steps, first + (every - updates % every) * self.config.accumulate)

    def _groups_until_stopped(self) -> Iterator[list[MiniBatch]]:
        """`groups`, with a check for signals between two updates, when no update is half done."""
        groups = self.groups()
        while True:
            self._stop_if_asked()
            try:
                group = next(groups, None)
            except LaunchError:
                self._stop_if_asked()  # a signal to the whole process group has ended the sampler processes too
                raise
            if group is None:
                return
            yield group

    def _stop_if_asked(self) -> None:
        """Ranks stop together, after the update in which the signal of any of them was counted."""
        if number := requested() if self.ranks.size == 1 else self._agreed:
            self._stop(number)

    def _stop(self, number: int) -> NoReturn:
        self.save()
        self.checkpoints.settle()
        self.ranks.barrier("the resume point of a job that is stopped")
        self.tracker.close()
        name = "asked to stop" if number == ASK_TO_SAVE else signal.Signals(number).name
        self.reporter.line(f"{name}: wrote a resume point at update {self.state.updates:,}")
        raise Stopped(number, is_saved=True)

    def update(self, group: list[MiniBatch], meter: ProgressMeter) -> None:
        """One optimizer step: forward, backward, sum over ranks, divide by the count, clip, check, step."""
        state = self.state
        step_name = f"epoch {state.epoch + 1}, step {group[-1].position.step + 1}"
        lr = self.optimizers.set_step(state.updates, self.updates_per_epoch * self.config.epochs)
        self.learner.trained.train()
        total, weight, seeds = 0.0, 0.0, 0
        for batch in group:
            loss, count = self.learner.backward(batch)
            total, weight = total + loss, weight + count
            seeds += sum(len(ids) for ids in batch.seeds.values())
        self._stragglers.add(time.monotonic() - self._step_began)
        sums = np.array([total, weight, seeds, float(requested() != 0), *self.optimizers.have_gradients()])
        total, weight, seeds, asked, *ranks_with_gradient = self.ranks.total(sums, step_name).tolist()
        self._agreed = int(ASK_TO_SAVE) if asked else 0
        factor = 1.0 / max(weight, 1e-12)
        self.optimizers.step_embeddings(factor)
        self.optimizers.sum_gradients(self.ranks, np.array(ranks_with_gradient))
        self.optimizers.scale_gradients(factor)
        norm = self.optimizers.clip()
        self.check_finite(total, norm)
        self.optimizers.step()
        if self.ema is not None:
            self.ema.update(state.updates + 1)
        state.step = group[-1].position.step + 1
        state.updates += 1
        self.task.stepped()
        learner_numbers = self.learner.stepped(state.updates)
        state.epoch_loss, state.epoch_weight = state.epoch_loss + total, state.epoch_weight + weight
        mean_loss = total / max(weight, 1e-12)
        updated_at = time.monotonic()
        rate = seeds / (updated_at - self._last_update)
        self._last_update = updated_at
        meter.update(state.step, f"loss {mean_loss:.4f}, {rate:,.0f} seeds/s")
        if state.updates % self.config.track.every_steps == 0:
            self.tracker.log(
                "train",
                state.updates,
                epoch=state.epoch,
                loss=mean_loss,
                lr=lr,
                grad_norm=norm,
                seeds_per_second=rate,
                **learner_numbers,
            )
            self._stragglers.compare(step_name)
        if state.step < self.stream.steps:  # the end of an epoch has its own
            self._validate_within()
            self._save_if_due()
        self._step_began = time.monotonic()

    def _validate_within(self) -> None:
        """Validate in the middle of an epoch, if it is time and not done yet."""
        state, every = self.state, self.config.evaluate_steps
        if every is None or self.config.evaluate_every is None:
            return
        is_due = 0 < state.step < self.stream.steps and state.updates % every == 0
        if is_due and state.validated != state.updates:
            text = self.validate()
            self.reporter.now_and_then(f"{self._epoch_name()}, update {state.updates:,}: {text}")
            self._last_update = time.monotonic()

    def _save_if_due(self) -> None:
        config, memory = self.config.checkpoint, self.checkpoints.memory
        to_disk = config.every_steps is not None and self.state.updates % config.every_steps == 0
        to_memory = memory is not None and config.memory_steps and self.state.updates % config.memory_steps == 0
        if to_disk or to_memory:
            self.save(to_disk)

    def check_finite(self, loss: float, norm: float) -> None:
        """Stop before a step that would spoil the weights; the last resume point stays good."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError(
                f"epoch {self.state.epoch + 1}, step {self.state.step + 1}: loss and gradients must be finite "
                f"(got loss {loss}, gradient norm {norm}). Lower train.lr, set train.clip_norm, or look for extreme "
                f"features"
            )

    def end_epoch(self) -> None:
        """Validate, keep the best, decide whether to go on, write a resume point.

        The line of an epoch ends its training part with the time of that, and its validation part with the time of
        this. After a resume the time is that since the resume.
        """
        state, config = self.state, self.config
        loss = state.epoch_loss / max(state.epoch_weight, 1e-12)
        seconds = time.monotonic() - self._epoch_started
        text = f"{self._epoch_name()}: loss {loss:.4f} [{duration(seconds)}]{self.learner.epoch_note()}"
        last, every = state.epoch + 1 == config.epochs, config.evaluate_every
        steps_are_due = config.evaluate_steps is not None and state.updates % config.evaluate_steps == 0
        if every is not None and (last or steps_are_due or (state.epoch + 1) % every == 0):
            text += ", " + self.validate()
        elif every is None and last:
            text += ", " + self._take_last()
        # After validation, which a signal may end: the resumed run would log the epoch again.
        memory = peak_memory(self.device)
        self.tracker.log("epoch", state.updates, epoch=state.epoch, loss=loss, seconds=seconds, **memory)
        state.epoch, state.step, state.epoch_loss, state.epoch_weight = state.epoch + 1, 0, 0.0, 0.0
        state.finished = self._is_finished()
        if state.finished and state.epoch < config.epochs:
            text += ", stopping early: no improvement"
        self.reporter.now_and_then(text, always=state.finished or state.epoch == 1)
        self.save()

    def _is_finished(self) -> bool:
        """Whether all epochs are done, or validation has stopped to improve: it ends training between epochs, and after
        a resume within one too."""
        patience = None if self.config.early_stop is None else self.config.early_stop.patience
        stop = patience is not None and self.state.step == 0 and self.state.bad_evaluations >= patience
        return stop or self.state.epoch >= self.config.epochs

    def _take_last(self) -> str:
        """Without validation: save the model of the last epoch. Returns a line's part."""
        self.learner.before_validation()
        self.state.best_epoch = self.state.epoch
        with self._averaged():
            self.save_best({})
        return "not validated (train.evaluate_every: null): the model is that of this epoch"

    def _averaged(self) -> contextlib.AbstractContextManager[None]:
        """While the body runs the model has the averaged weights, if there are any."""
        return contextlib.nullcontext() if self.ema is None else self.ema.applied()

    def validate(self) -> str:
        """Score the validation split; save the model when it is the best so far. Returns a line's part."""
        self.learner.before_validation()
        try:
            with self._averaged():
                return self._validate()
        except Stopped as stopped:
            self._stop(stopped.number)

    def _validate(self) -> str:
        state = self.state
        started = time.monotonic()
        evaluation = self.task.evaluation(self.config.fanouts, self.seed)
        # Validation changes nothing that a resume point holds, and may take long. Several ranks finish it: they could
        # not agree on where to leave it.
        with prompt() if self.ranks.size == 1 else contextlib.nullcontext():
            metrics = self.task.evaluate(self.experiment.embedder(), "valid", evaluation)
        value = metrics[self.task.select_by]
        seconds = time.monotonic() - started
        self.tracker.log("valid", state.updates, epoch=state.epoch, seconds=seconds, **metrics)
        self._count(value)
        state.validated = state.updates
        better = self._beats(value, state.best)
        if better:
            state.best, state.best_epoch = value, state.epoch
        if self.kept.most > 1:
            self._keep(value, metrics)
        elif better:
            self.save_best(metrics)
        mark = " (best)" if better else ""
        return f"valid {shown(metrics)}{mark} [{duration(seconds)}]"

    def _keep(self, value: float, metrics: dict[str, float]) -> None:
        """Save the model when it is one of the best."""
        model = {"update": self.state.updates, "epoch": self.state.epoch + 1, "value": value}
        self.state.kept = self.kept.take(
            self.state.kept, model, self._beats, lambda name: self.save_best(metrics, name)
        )
        self.kept.write(self.state.kept, self.task.select_by)

    def _count(self, value: float) -> None:
        """What early stopping remembers of a score."""
        state, config = self.state, self.config.early_stop or EarlyStopConfig()
        if config.rule == "mean":
            if state.epoch >= config.burn_in:
                mean = float(np.mean(state.recent)) if len(state.recent) == config.patience else None
                if not self._beats(value, mean, config.min_delta):  # later ones of this epoch do not undo it
                    state.bad_evaluations = config.patience
                state.recent = [*state.recent, value][-config.patience :]
        elif self._beats(value, state.to_beat, config.min_delta):
            state.to_beat, state.bad_evaluations = value, 0
        elif state.epoch >= config.burn_in:
            state.bad_evaluations += 1

    def _beats(self, value: float, other: float | None, margin: float = 0.0) -> bool:
        """Whether a score is better than another one by more than a margin; any is better than none or NaN."""
        sign = 1.0 if self.task.higher_is_better else -1.0
        return other is None or math.isnan(other) or sign * value > sign * other + margin

    def save(self, to_disk: bool = True) -> None:
        """Write a resume point; without `to_disk` in shared memory only."""
        optimizers = self.optimizers.state_dict()
        if self.ema is not None:
            optimizers = {**optimizers, "ema": self.ema.state()}
        self.checkpoints.save(self.state, self.learner.trained, optimizers, self.tables, to_disk)
        if to_disk:
            self.kept.clean(self.state.kept, self.checkpoints.all())

    def save_best(self, metrics: dict[str, float], name: str = BEST) -> None:
        """Write the model as `best/`, or by another name."""
        split = "valid" if metrics else "none"
        chosen_by: dict[str, Any] = {"split": split, "epoch": self.state.epoch + 1, **metrics}
        if self.task.protocol:
            chosen_by["protocol"] = dict(self.task.protocol)
        self.artifacts.save(self.folder, self.experiment.pipeline.model_dump(mode="json"), chosen_by, name)


def swapped_pairs(graph: Graph, edge_type: EdgeType, label: str | None) -> int:
    """How many validation and test edges (s, t) have a training edge (t, s) of the same type; 0 when the two ends are
    nodes of different types.

    label: the label whose split is meant; None: the edges' own split.
    """

    def rows(split: str) -> IntArray:
        return graph.edge_rows(edge_type, split) if label is None else graph.edge_label_rows(edge_type, label, split)

    if edge_type[0] != edge_type[2]:
        return 0
    count = graph.manifest.node(edge_type[0]).count
    source, target = graph.edges(edge_type, rows("train"))
    trained = source * count + target
    swapped = 0
    for split in ("valid", "test"):
        source, target = graph.edges(edge_type, rows(split))
        swapped += int(np.isin(target * count + source, trained).sum())
    return swapped


def describe(experiment: Experiment) -> str:
    """One line about sizes and memory, before training starts."""
    manifest = experiment.graph.manifest
    sizes = f"{manifest.num_nodes:,} nodes, {manifest.num_edges:,} edges of {len(manifest.edges)} types"
    notes = [*_excluded_edges(experiment.graph), *experiment.task.notes()]
    scored = scored_inputs(experiment.pipeline.task, manifest)
    weights = [feature for feature, _ in experiment.pipeline.task.weighed(manifest.original_edge_types())]
    sought = experiment.pipeline.task.sought_features()
    if unread := unread_edge_types(experiment.pipeline.model, manifest, scored, weights, sought):
        notes.append(
            f"edge features and text are kept in the graph, but no model reads those of {', '.join(unread)} (see "
            f"model.edge_inputs, task.inputs)"
        )
    return "; ".join([sizes, _learning_parameters(experiment), *notes])


def _learning_parameters(experiment: Experiment) -> str:
    dense = sum(p.numel() for p in experiment.learner.trained.parameters() if p.requires_grad)
    embedded = sum(math.prod(table.table.shape) for table in experiment.artifacts.embeddings.values())
    # float32: weight, gradient and the two moments of Adam; of node embeddings only the rows in a batch have gradients.
    memory = (16 * dense + 12 * embedded) / 1e9
    part = f" ({embedded:,} of them node embeddings, in host memory)" if embedded else ""
    return (
        f"{dense + embedded:,} parameters that learn on {experiment.device}{part}, with optimizer state {memory:.2f} GB"
    )


def _excluded_edges(graph: Graph) -> Iterator[str]:
    """Notes on the edges that message passing does not use."""
    if graph.hide:
        names = ", ".join(edge_name(edge_type) for edge_type in graph.hide)
        note = f"validation and test edges of {names} are excluded from message passing"
        for edge_type, label in graph.hide.items():
            if swapped := swapped_pairs(graph, edge_type, label):
                note += (
                    f" ({swapped:,} of them are also training edges in the opposite direction: if the relation has no "
                    f"direction, put both edges into one split)"
                )
        yield note
    if held_out := graph.held_out.ends:
        numbers = ", ".join(f"{len(sources):,} of {edge_name(t)}" for t, (sources, _) in held_out.items())
        yield f"held out for validation and excluded from message passing: {numbers}"
