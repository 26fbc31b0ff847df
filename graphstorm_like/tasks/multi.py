"""Several tasks at once: one shared model, a head a task, and a weighting that makes one loss of theirs.

The loss of a step is sum_t w_t L_t, L_t the mean loss of the task's rows in the step over all ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.batch_size import BatchSize
from graphstorm_like.config.tasks.multi import MEAN, MultiTaskConfig
from graphstorm_like.config.train import FanoutByType, InferConfig
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.joined import JoinedSeeder, JoinedTargets
from graphstorm_like.sampling.seeds import ALL_ROWS, JoinedSeedStream, RankSlice, SeedStream
from graphstorm_like.sampling.steps import FeatureSource
from graphstorm_like.tasks.base import TASKS, Evaluation, Task
from graphstorm_like.tasks.outputs import Asked, EndVectors, Follow, Predictions
from graphstorm_like.tasks.weightings import WEIGHTINGS, StepLosses, TaskWeighting


@TASKS.register(MultiTaskConfig)
class MultiTask(Task):
    """See module. Metrics are named '<task>.<metric>'; `mean` is that of the tasks' own selection metrics, where it
    selects."""

    def __init__(self, config: MultiTaskConfig, graph: Graph, hidden: int) -> None:
        super().__init__()
        self.config, self.graph = config, graph
        self.names = list(config.tasks)
        # Prefixed: a user's name might be that of a method of ModuleDict, or hold a dot.
        self.heads = nn.ModuleDict()
        for name, task in config.tasks.items():
            self.heads[_key(name)] = TASKS.of(task)(task, graph, hidden)
        self.select_by = config.select_by
        self.higher_is_better = config.selectable().get(config.select_by, True)
        splits = [split for split in ("valid", "test") if any(split in task.scored_splits for task in self.tasks)]
        self.scored_splits = tuple(splits)
        self.predicts = any(task.predicts for task in self.tasks)
        self.protocol = self._protocols()
        self._group: Group = SINGLE_PROCESS
        self._shared: tuple[Tensor, ...] = ()
        # In a list, so that it is no part of the module: only resume points hold it.
        self._weighting: list[TaskWeighting] = []
        self._losses: Tensor | None = None
        self._is_quiet = False

    @property
    def tasks(self) -> list[Task]:
        """In the order of the configuration."""
        found = []
        for name in self.names:
            task = self.heads[_key(name)]
            assert isinstance(task, Task)
            found.append(task)
        return found

    def named(self) -> Iterator[tuple[str, Task]]:
        """(name, task) of each."""
        return zip(self.names, self.tasks, strict=True)

    @property
    def group(self) -> Group:
        """See Task."""
        return self._group

    @group.setter
    def group(self, group: Group) -> None:
        self._group = group
        for task in self.tasks:
            task.group = group

    def _protocols(self) -> dict[str, str | int | bool]:
        found: dict[str, str | int | bool] = {}
        for name, task in self.named():
            found |= {f"{name}.{key}": value for key, value in task.protocol.items()}
        return found

    # ---------------------------------------------------------------------------------------------------- training

    def shares(self, model: nn.Module) -> None:
        """See Task."""
        self._shared = tuple(parameter for parameter in model.parameters() if parameter.requires_grad)
        config = self.config.weighting
        priors = torch.tensor([self.config.weights.get(name, 1.0) for name in self.names])
        made = WEIGHTINGS.of(config)(config, priors, sum(parameter.numel() for parameter in self._shared))
        self._weighting = [made.to(self.device)]

    @property
    def training_state(self) -> nn.Module | None:
        """See Task."""
        if not self._weighting:
            return None
        kept = {_key(name): task.training_state for name, task in self.named() if task.training_state is not None}
        return nn.ModuleDict({"weighting": self._weighting[0], **kept}) if kept else self._weighting[0]

    @property
    def refresh_steps(self) -> int | None:
        """See Task: so that it is time for each task at some of them."""
        steps = [task.refresh_steps for task in self.tasks if task.refresh_steps is not None]
        return math.gcd(*steps) if steps else None

    def must_refresh(self, updates: int) -> bool:
        """See Task."""
        return any(task.must_refresh(updates) for task in self.tasks)

    def refresh(self, embedder: Embedder, updates: int) -> None:
        """See Task."""
        for task in self.tasks:
            if task.must_refresh(updates):
                task.refresh(embedder, updates)

    def take_up(self) -> None:
        """See Task."""
        for task in self.tasks:
            task.take_up()

    @property
    def _starts(self) -> list[int]:
        """The first number of each task's rows among those of all tasks."""
        sizes = [1 + max((int(task.rows(s).max(initial=-1)) for s in _SPLITS), default=-1) for task in self.tasks]
        return [0, *np.cumsum(sizes)[:-1].tolist()]

    def rows(self, split: str) -> IntArray:
        """Numbers of rows, one task after the other."""
        return np.concatenate([task.rows(split) + s for task, s in zip(self.tasks, self._starts, strict=True)])

    def stream(self, batch_size: BatchSize, seed: int) -> JoinedSeedStream:
        """See Task and JoinedSeedStream."""
        streams: list[SeedStream] = []
        for name, task in self.named():
            streams.append(task.stream(self.config.batch_sizes.get(name, batch_size), seed))
        total = sum(of_task.batch_size for of_task in streams)
        nothing = np.empty(0, dtype=np.int64)
        return JoinedSeedStream(nothing, total, seed, streams=tuple(streams), starts=tuple(self._starts))

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> JoinedSeeder:
        """See Task. Each task draws its negatives from a stream of its own."""
        seeders = [task.seeder(seed + number, share) for number, task in enumerate(self.tasks)]
        return JoinedSeeder(seeders, self._starts, [task.exclude_targets for task in self.tasks], self._reader)

    @property
    def _reader(self) -> int | None:
        reads = [task.scored_inputs() is not None for task in self.config.tasks.values()]
        return reads.index(True) if any(reads) else None

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """This rank's share of the weighted sum of the tasks' mean losses; shares of all ranks weigh 1 in sum."""
        targets = batch.targets
        assert isinstance(targets, JoinedTargets)
        sums, counts = [], []
        for task, part in zip(self.tasks, targets.parts, strict=True):
            total, count = task.loss(part.vectors(vectors), part.of(batch))
            sums.append(total * part.weight)
            counts.append(count * part.weight)
        values = np.array([*(total.item() for total in sums), *counts])
        totals, weights = np.split(self.group.total(values, f"losses of step {batch.position.step + 1}"), 2)
        weights = np.maximum(weights, 1e-12)
        own = [total / weight for total, weight in zip(sums, weights.tolist(), strict=True)]
        means = torch.from_numpy(totals / weights).to(own[0])
        assert self._weighting, "`shares` comes first"
        step = StepLosses(own, means, batch.position.epoch, self.group)
        if self._is_quiet:
            return self._weighting[0].weighted(step), 1.0 / self.group.size
        self._losses = means
        return self._weighting[0].combine(step, self._shared), 1.0 / self.group.size

    def stepped(self) -> None:
        """See Task."""
        for task in self.tasks:
            task.stepped()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """See Task. Weights of tasks stay as they are."""
        self._is_quiet = True
        with ExitStack() as quiet_tasks:
            quiet_tasks.callback(setattr, self, "_is_quiet", False)
            for task in self.tasks:
                quiet_tasks.enter_context(task.quiet())
            yield

    def numbers(self) -> dict[str, float]:
        """See Task."""
        if self._losses is None:
            return {}
        found = {f"loss/{name}": value for name, value in zip(self.names, self._losses.tolist(), strict=True)}
        weights = self._weighting[0].weights.tolist()
        return found | {f"weight/{name}": value for name, value in zip(self.names, weights, strict=True)}

    # -------------------------------------------------------------------------------------------------- evaluation

    def check_validation(self) -> None:
        """See Task."""
        for task in self.tasks:
            task.check_validation()

    def evaluation(self, fanouts: Sequence[FanoutByType], seed: int) -> Evaluation:
        """Layer-wise when one of the tasks needs all vectors; else mini-batches."""
        of_tasks = [task.evaluation(fanouts, seed) for task in self.tasks]
        return next((how for how in of_tasks if how.mode == "layer_wise"), of_tasks[0])

    def evaluate(self, embedder: Embedder, split: str, how: Evaluation) -> dict[str, float]:
        """See class. Vectors of all nodes of a type are computed once for all tasks."""
        if embedder.memo is None:
            embedder = replace(embedder, memo={})
        metrics: dict[str, float] = {}
        selected: list[float] = []
        for name, task in self.named():
            if split not in task.scored_splits:
                continue
            scores = task.evaluate(embedder, split, how)
            # The relation that select_by names has validation edges, and may have none in other splits.
            selected.append(scores.get(task.select_by, scores[task.select_by.partition("/")[0]]))
            metrics |= {f"{name}.{metric}": value for metric, value in scores.items()}
        return {MEAN: float(np.mean(selected)), **metrics} if self.select_by == MEAN else metrics

    # --------------------------------------------------------------------------------------------------- inference

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return tuple(dict.fromkeys(node_type for task in self.tasks for node_type in task.node_types))

    def read_edges(
        self, widths: Mapping[str, int], sources: Mapping[str, FeatureSource], magnitudes: Mapping[str, float]
    ) -> None:
        """See Task. One of the tasks reads them."""
        super().read_edges(widths, sources, magnitudes)
        assert self._reader is not None
        self.tasks[self._reader].read_edges(widths, sources, magnitudes)

    @property
    def named_rows(self) -> dict[str, list[str]]:
        """See Task, by task."""
        return {f"{name}.{kind}": rows for name, task in self.named() for kind, rows in task.named_rows.items()}

    def notes(self) -> Iterator[str]:
        """See Task."""
        for name, task in self.named():
            yield from (f"{name}: {note}" for note in task.notes())

    def describe_batch(self, batch: MiniBatch) -> Iterator[str]:
        """See Task."""
        targets = batch.targets
        assert isinstance(targets, JoinedTargets)
        for (name, task), part in zip(self.named(), targets.parts, strict=True):
            seeds = sum(len(at) for at in part.rows.values())
            yield f"task {name}: {seeds:,} seeds"
            yield from task.describe_batch(part.of(batch))

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """See Task."""
        needed: dict[NodeType, IntArray | None] = {}
        for task in self.tasks:
            for node_type, ids in task.needed(asked).items():
                known = needed.get(node_type, ids)
                needed[node_type] = None if known is None or ids is None else np.union1d(known, ids)
        return needed

    def predicted_tables(
        self, vectors: Mapping[NodeType, Vectors], config: InferConfig, follow: Follow, asked: Asked
    ) -> dict[str, Predictions]:
        """See Task."""
        tables = {}
        for name, task in self.named():
            if task.predicts:
                tables[f"predictions/{name}"] = task.asked_predictions(vectors, config, follow, asked)
        return tables

    def end_vectors(self) -> tuple[EndVectors, ...]:
        """See Task."""
        found: list[EndVectors] = []
        for name, task in self.named():
            found += [replace(ends, folder=f"{ends.folder}/{name}") for ends in task.end_vectors()]
        return tuple(found)

    def results(self, config: InferConfig) -> dict[str, Any]:
        """See Task. tasks: what each says, by name."""
        return {"tasks": {name: task.results(config) for name, task in self.named()}}


_SPLITS = ("train", "valid", "test")


def _key(name: str) -> str:
    return "for_" + name.replace(".", "_dot_")
