"""Scores under an attack: every node's inputs are changed once, for the loss of all rows of a split.

The gradients of an attack's step are sums over the split's rows, in batches as in training but without dropout. They do
not depend on the size of a batch, except through the neighbours that are sampled. What is scored is then the model as
it is, on inputs with the changes, in the way in which scores without an attack are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.attacks import AttackConfig
from graphstorm_like.config.batch_size import rows_a_step
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.store import IntArray
from graphstorm_like.models.attacks import AttackedInputs, Place, Rows, attack_of, without_gradients
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.pending import Pending
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.steps import FeatureSource
from graphstorm_like.tasks import Evaluation
from graphstorm_like.training.adversary import asked_gradients, zero_like
from graphstorm_like.training.experiment import Experiment
from graphstorm_like.training.learner import GraphLearner, plus


@dataclass(frozen=True)
class ChangedSource:
    """A FeatureSource with changes [count, F] of its rows."""

    source: FeatureSource
    inputs: AttackedInputs
    place: Place
    change: Tensor

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """See FeatureSource."""
        rows = torch.from_numpy(np.asarray(self.source.rows(ids)))
        return self.inputs.moved(*self.place, rows, self.change[torch.from_numpy(ids)]).numpy()

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return Pending(lambda: self.rows(ids))


class Attacked:
    """The split of an experiment under one attack."""

    def __init__(self, experiment: Experiment, config: AttackConfig, split: str) -> None:
        """ConfigError when the model reads nothing that the attack changes."""
        self.experiment, self.config, self.split = experiment, config, split
        self.inputs = AttackedInputs(experiment.model, config.on == "text_vectors")
        self.places = self.inputs.places()
        if not self.places:
            raise ConfigError(
                f"infer.attacks: must be on inputs or text_vectors that the model reads (got {config.title}, of which "
                f"it reads none). Choose the other one"
            )

    def scores(self, embedder: Embedder, how: Evaluation) -> dict[str, float]:
        """Metrics of the split."""
        sources = {row_type: dict(by_name) for row_type, by_name in embedder.sources.items()}
        changes = self.changes()
        for (node_type, name), change in zip(self.places, changes, strict=True):
            of_type = sources[node_type]
            of_type[name] = ChangedSource(of_type[name], self.inputs, (node_type, name), change)
        attacked = replace(embedder, sources=sources, memo=None)
        return self.experiment.task.evaluate(attacked, self.split, replace(how, keep_ranks=None))

    def changes(self) -> Rows:
        """[count, F] of each attacked input, on the CPU; the same on all ranks."""
        experiment = self.experiment
        experiment.learner.trained.eval()
        draw = torch.Generator().manual_seed(torch_seed(experiment.pipeline.seed, "attack"))
        like = []
        for node_type, name in self.places:
            width = np.asarray(experiment.sources[node_type][name].rows(np.zeros(1, dtype=np.int64))).shape[1]
            like.append(torch.empty(experiment.graph.manifest.node(node_type).count, width))
        return attack_of(self.config).find(like, self._gradients, draw)

    def _gradients(self, changes: Rows) -> Rows:
        totals = [torch.zeros_like(change) for change in changes]
        for batch in self._batches():
            reached = self.inputs.of(batch)
            at = [self.places.index(place) for place in reached]
            ids = [batch.input_ids[node_type].cpu() for node_type, _ in reached]
            leaves = []
            for number, rows in zip(at, ids, strict=True):
                leaves.append(changes[number][rows].to(self.experiment.device).requires_grad_())
            found = self._batch_gradients(batch, leaves)
            for number, rows, gradient in zip(at, ids, found, strict=True):
                totals[number].index_add_(0, rows, gradient.cpu())
        self.experiment.task.group.sum_(totals, "gradients of an attack")
        return totals

    def _batch_gradients(self, batch: MiniBatch, leaves: Rows) -> Rows:
        tie = zero_like(batch)
        vectors = self.experiment.model(self.inputs.changed(batch, leaves))
        loss, _ = self.experiment.task.loss(plus(vectors, tie), batch)
        return asked_gradients(loss * batch.weight, leaves, tie)

    def _batches(self) -> Iterator[MiniBatch]:
        """The split's rows in order, each rank its share of every batch."""
        experiment = self.experiment
        rows = experiment.task.rows(self.split)
        size = rows_a_step(experiment.pipeline.train.batch_size, len(rows))
        learner = experiment.learner
        assert isinstance(learner, GraphLearner), "what is scored has its vectors made"
        pipeline = learner.batches()
        for number, start in enumerate(range(0, len(rows), size)):
            batch = pipeline.make(rows[start : start + size], StreamPosition(0, number))
            yield without_gradients(learner.embeddings.put_into(batch.to(experiment.device))[0])
