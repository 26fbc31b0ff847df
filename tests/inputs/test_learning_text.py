"""Tables of vectors compute what has changed, no more, and their rows are never older than promised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from graphstorm_like.errors import DamagedFileError, TrainingError
from graphstorm_like.inputs.learning_text import AgingVectors, FreshVectors, TablePlace
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.checkpoint import Checkpoints, TrainState

from .lockstep import Lockstep, lockstep


def counted(encoder: TextEncoder) -> list[int]:
    """Number of texts of each forward pass."""
    seen: list[int] = []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0].input_ids)))
    return seen


def change_weights(encoder: TextEncoder) -> None:
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)


def zeros(encoder: TextEncoder, store: TokenStore) -> np.ndarray:
    return np.zeros((len(store), encoder.dim), dtype=np.float16)


def test_validation_encodes_only_what_has_changed(encoder: TextEncoder, store: TokenStore) -> None:
    seen, table = counted(encoder), FreshVectors(encoder, store, False)
    first = table.rows(np.array([0, 1, 6]))
    assert sum(seen) == 2  # 1 and 6 share a text
    assert np.array_equal(first[1], first[2])
    assert np.array_equal(table.rows(np.array([6, 0])), first[[1, 0]])
    assert sum(seen) == 2
    table.rows(np.array([0, 3]))
    assert sum(seen) == 3
    table.at(0)
    table.rows(np.array([3]))
    assert sum(seen) == 3
    change_weights(encoder)
    table.at(1)
    second = table.rows(np.array([0, 1, 6]))
    assert sum(seen) == 5
    assert not np.array_equal(first, second)
    assert table.rows(np.zeros(0, dtype=np.int64)).shape == (0, encoder.dim)


def test_fresh_rows_are_those_of_the_encoder_in_any_order(encoder: TextEncoder, store: TokenStore) -> None:
    """The table grows in several steps, over repeated rows."""
    wanted = FreshVectors(encoder, store, False).rows(np.arange(7))
    rng = np.random.default_rng(0)
    table = FreshVectors(encoder, store, False)
    for _ in range(20):
        ids = rng.integers(7, size=rng.integers(0, 6))
        np.testing.assert_allclose(table.rows(ids), wanted[ids], atol=2e-3)


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_no_row_is_older_than_promised(encoder: TextEncoder, store: TokenStore, steps: int) -> None:
    table = AgingVectors(encoder, store, False, zeros(encoder, store))
    for update in range(1, 4 * steps):
        change_weights(encoder)
        table.stepped(update, steps)
        assert int((table.now - table.own_computed).max()) <= steps
    table.rows(np.array([0]))
    total, count = table.ages_read()
    assert count == 1
    assert 0 <= total <= steps
    assert table.ages_read() == (0, 0)


def test_rows_are_read_as_they_are_and_saved(encoder: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    start = np.random.default_rng(0).random((len(store), encoder.dim)).astype(np.float16)
    seen, table = counted(encoder), AgingVectors(encoder, store, False, start)
    table.at(5)
    assert np.array_equal(table.rows(np.array([1, 6])), start[store.row_of_text[[1, 6]]])
    table.put(np.array([2]), torch.ones(1, encoder.dim))
    assert table.own[2].max() < 1  # others may be reading
    table.stepped(6, None)
    assert not seen
    points, modules = Checkpoints(tmp_path, 2), torch.nn.Linear(1, 1)
    points.save(TrainState(updates=6), modules, {}, [table])
    other = AgingVectors(encoder, store, False, start)
    assert points.load(modules, [other]) is not None
    other.at(6)
    assert not seen
    assert np.array_equal(other.own, table.own)
    assert other.own_computed.tolist() == [0, 0, 5, 0, 0, 0]
    assert start[2].max() < 1  # the cache itself is not written to
    with pytest.raises(TrainingError, match="must have rows of 8 numbers"):
        AgingVectors(encoder, store, False, start[:, :8]).load(tmp_path / "step-000000006")
    (tmp_path / "step-000000006" / table.file).unlink()
    with pytest.raises(DamagedFileError, match=r"vectors of texts, rows 0 to 6 \(found 0\)"):
        other.load(tmp_path / "step-000000006")


def test_before_validation_every_old_row_is_computed_once(encoder: TextEncoder, store: TokenStore) -> None:
    table = AgingVectors(encoder, store, False, zeros(encoder, store))
    table.at(2)
    table.put(np.array([1, 2]), torch.ones(2, encoder.dim))
    table.stepped(3, None)
    seen = counted(encoder)
    table.refresh_all()
    assert sum(seen) == len(store)  # what was put was of the weights before
    assert (table.own_computed == 3).all()
    table.refresh_all()
    assert sum(seen) == len(store)


@pytest.mark.parametrize("trainers", [2, 3])
def test_ranks_of_a_host_share_one_copy(encoder: TextEncoder, store: TokenStore, tmp_path: Path, trainers: int) -> None:
    """Each puts texts of any rank; all read what a table of one process has, of equal versions the first rank's."""
    start, dim = zeros(encoder, store), encoder.dim
    puts = [([0, 1, 3], 1.0), ([2, 3, 5], 2.0), ([4, 5], 3.0)][:trainers]

    def work(group: Lockstep) -> np.ndarray:
        table = AgingVectors(encoder, store, False, start, TablePlace(0, "t", "item", None, group, tmp_path))
        pieces, value = puts[group.rank]
        table.put(np.array(pieces), torch.full((len(pieces), dim), value))
        table.stepped(1, None)
        rows = table.rows(np.arange(7))
        group.barrier("reading")
        return rows[:, 0]

    found = lockstep(1, trainers, work)
    wanted = {0: 1.0, 1: 1.0, 2: 2.0, 3: 1.0, 4: 0.0, 5: 2.0} | ({4: 3.0} if trainers == 3 else {})
    for rows in found:
        assert rows.tolist() == [wanted[int(text)] for text in store.row_of_text]
    assert len(list(tmp_path.glob("*.rows"))) == 2


def test_other_ranks_read_what_ranks_have_written(encoder: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    start = np.random.default_rng(1).random((len(store), encoder.dim)).astype(np.float16)
    for trainers, name in ((3, "three"), (1, "one"), (16, "more than rows")):
        (tmp_path / name).mkdir()

        def write(group: Lockstep, name: str = name) -> None:
            place = TablePlace(7, "t", "item", None, group, tmp_path / name)
            table = AgingVectors(encoder, store, False, start, place)
            Checkpoints(tmp_path / f"points-{name}", 1, group).save(TrainState(), torch.nn.Linear(1, 1), {}, [table])

        lockstep(1, trainers, write)
    files = list((tmp_path / "points-more than rows" / "step-000000000").glob("vectors-*"))
    assert len(files) == len(store) == 6
    for name in ("three", "one", "more than rows"):
        (tmp_path / f"read-{name}").mkdir()

        def read(group: Lockstep, name: str = name) -> np.ndarray:
            place = TablePlace(7, "t", "item", None, group, tmp_path / f"read-{name}")
            table = AgingVectors(encoder, store, False, np.zeros_like(start), place)
            table.load(tmp_path / f"points-{name}" / "step-000000000")
            group.barrier("loading")
            rows = table.rows(np.arange(7))
            group.barrier("reading")
            return rows

        for rows in lockstep(1, 2, read):
            assert np.array_equal(rows, start[store.row_of_text])
