"""Learnable vectors of nodes: first values, steps, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import graphstorm_like.inputs.node_embeddings as module
from graphstorm_like.errors import DamagedFileError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.training.checkpoint import Checkpoints, TrainState


@pytest.fixture
def graph(shop: tuple[Path, Path]) -> LocalGraph:
    return LocalGraph(shop[1])


def test_first_values_depend_on_seed_and_row_only(graph: LocalGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)  # several streams
    one, other = NodeEmbeddings(graph, "user", 64, 1), NodeEmbeddings(graph, "user", 64, 1)
    ids = np.array([30, 2, 2])
    assert (one.rows(ids) == other.begin_rows(ids).wait()).all()
    assert (one.rows(ids) != NodeEmbeddings(graph, "user", 64, 2).rows(ids)).any()
    assert (one.rows(ids)[0] != one.rows(ids)[1]).any()
    assert np.linalg.norm(one.table[:], axis=1).mean() == pytest.approx(1.0, abs=0.1)


def test_a_step_moves_touched_rows_only(graph: LocalGraph) -> None:
    table = NodeEmbeddings(graph, "user", 4, 0)
    before = table.table[:].copy()
    table.touched(torch.tensor([3, 5]), torch.ones(2, 4))
    table.touched(torch.tensor([5]), torch.ones(1, 4))  # accumulated
    table.step(0.1, 0.5)
    moved = np.flatnonzero((table.table[:] != before).any(axis=1))
    assert moved.tolist() == [3, 5]
    # Adam's first step has the size of the learning rate, whatever the gradient's.
    np.testing.assert_allclose(before[moved] - table.table[moved], 0.1, rtol=1e-4)
    table.touched(torch.tensor([3]), None)
    table.step(0.1, 1.0)
    assert (table.steps, np.flatnonzero((table.table[:] != before).any(axis=1)).tolist()) == (2, [3, 5])


def test_state_goes_round_and_damage_is_told(graph: LocalGraph, tmp_path: Path) -> None:
    table, modules = NodeEmbeddings(graph, "user", 4, 0), torch.nn.Linear(1, 1)
    table.touched(torch.tensor([3, 5]), torch.ones(2, 4))
    table.step(0.1, 1.0)
    points = Checkpoints(tmp_path, 2)
    points.save(TrainState(updates=1), modules, {}, [table])
    other = NodeEmbeddings(graph, "user", 4, 9)
    assert points.load(modules, [other]) is not None
    for each in (table, other):
        each.touched(torch.tensor([3]), torch.full((1, 4), -2.0))
        each.step(0.1, 1.0)
    assert (table.table[:] == other.table[:]).all()
    (tmp_path / "step-000000001" / table.file).unlink()
    with pytest.raises(DamagedFileError, match="must hold embeddings of user, rows 0 to"):
        other.load(tmp_path / "step-000000001")
