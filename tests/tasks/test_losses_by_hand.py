"""Losses of whole tasks, as a training step asks for them, written out from the vectors of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch, link_parts
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.training.experiment import Experiment, build_experiment


def first_batch(pipeline: Pipeline, size: int) -> tuple[Experiment, MiniBatch, dict[str, torch.Tensor]]:
    """(what trains, its first batch, drawn vectors of the batch's seeds)."""
    experiment = build_experiment(pipeline, Reporter(quiet=True))
    batch = next(epoch_batches(experiment.learner.batches(), experiment.task.eval().stream(size, 0), 0))
    torch.manual_seed(0)
    return experiment, batch, {t: torch.randn(len(ids), experiment.model.hidden) for t, ids in batch.seeds.items()}


@pytest.mark.known_answer("tasks/node_regression")
def test_numbers(shop_config: Callable[..., Pipeline]) -> None:
    """Squared distances from the standardised label."""
    experiment, batch, vectors = first_batch(shop_config("node_regression"), 8)
    task: Any = experiment.task
    loss, count = task.loss(vectors, batch)
    labels, train = (torch.from_numpy(task.labels[rows]) for rows in (batch.seeds["item"].numpy(), task.rows("train")))
    standard = (labels - train.mean()) / train.std(correction=0)
    assert count == 8
    torch.testing.assert_close(loss, (task.head(vectors["item"]).squeeze(1) - standard).square().sum().float())


@pytest.mark.known_answer("tasks/link_prediction", "tasks/graph_pretraining")
@pytest.mark.parametrize("kind", ["link_prediction", "graph_pretraining"])
def test_links(shop_config: Callable[..., Pipeline], kind: str) -> None:
    """-log of the softmax of inner products over a temperature, of the true target among its candidates."""
    head, loss = {"type": "dot", "normalize": False}, {"type": "info_nce", "temperature": 0.5}
    experiment, batch, vectors = first_batch(shop_config(kind, task={"head": head, "loss": loss}), 12)
    found, count = experiment.task.loss(vectors, batch)
    assert isinstance(batch.targets, LinkTargets)
    total, rows = torch.zeros(()), 0
    for part in link_parts(batch.targets):
        source, _, target = part.edge_type
        candidates = vectors[target][part.candidates(batch.targets.pools[target].mine)]
        for row, of_source in enumerate(vectors[source][part.sources]):
            logits = candidates @ of_source / 0.5
            if part.log_q is not None:
                logits = logits - part.log_q
            negatives = [column for column in range(len(candidates)) if column != row and not part.mask[row, column]]
            total = total + torch.logsumexp(logits[[row, *negatives]], dim=0) - logits[row]
            rows += 1
    assert (count, rows > 0) == (rows, True)
    torch.testing.assert_close(found, total, rtol=1e-4, atol=1e-4)
