"""Seed streams and batch loading: each row once an epoch, and a batch depends on its position alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphstorm_like.config.batch_size import rows_a_step
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition, map_tensors, tensor_bytes
from graphstorm_like.sampling.loader import BatchPipeline, epoch_batches
from graphstorm_like.sampling.rng import stream, torch_seed
from graphstorm_like.sampling.seeds import CappedSeedStream, RankSlice, SeedStream
from graphstorm_like.sampling.steps import FetchFeatures, GraphFeature, NodeSeeder, SampleNeighbors


@given(st.integers(1, 200), st.integers(1, 50), st.integers(1, 5), st.integers(0, 5))
def test_ranks_share_every_step(n: int, batch: int, world: int, epoch: int) -> None:
    ids = np.arange(n) * 3
    order = SeedStream(ids, batch, 7).epoch_order(epoch)
    assert sorted(order.tolist()) == ids.tolist()
    for start in range(0, n, batch):
        step = order[start : start + batch]
        parts = [RankSlice(rank, world).of(step) for rank in range(world)]
        assert sorted(np.concatenate(parts).tolist()) == sorted(step.tolist())
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        if world > 1:
            assert np.concatenate(parts).tolist() == sorted(step.tolist())  # low ids to low ranks: near to them


def test_a_rank_without_rows_gets_one_that_does_not_count() -> None:
    seeder = NodeSeeder("item", np.arange(10), RankSlice(2, 3))
    found = [
        NodeSeeder("item", np.arange(10), RankSlice(r, 3))(np.array([7, 4]), StreamPosition(0, 0)) for r in range(3)
    ]
    assert sorted((b.seeds["item"].tolist(), b.weight) for b in found) == [([4], 1.0), ([7], 0.0), ([7], 1.0)]
    batch = seeder(np.array([4, 7, 5, 1]), StreamPosition(0, 0))
    assert (batch.seeds["item"].tolist(), batch.weight) == ([7], 1.0)


def test_without_shuffle_the_order_is_kept() -> None:
    assert SeedStream(np.arange(20), 8, 0, shuffle=False).epoch_order(3).tolist() == list(range(20))


def test_epochs_and_seeds_differ() -> None:
    order = [SeedStream(np.arange(50), 8, s).epoch_order(e).tolist() for s in (0, 1) for e in (0, 1)]
    assert len({tuple(o) for o in order}) == 4
    assert torch_seed(1, "dropout", 2, 3) == torch_seed(1, "dropout", 2, 3) != torch_seed(1, "dropout", 3, 2)
    assert stream(1, "neighbors", 0).random() != stream(1, "negatives", 0).random()


def test_capped_epochs_take_so_many_of_each_group() -> None:
    ids = np.concatenate([np.arange(100), 1000 + np.arange(7)])

    def epoch(number: int, seed: int = 3) -> list[int]:
        stream = CappedSeedStream(ids, 8, seed, groups=(100, 7), most=20)
        assert stream.steps == -(-27 // 8)
        return stream.epoch_order(number).tolist()

    first, second = epoch(0), epoch(1)
    for order in (first, second):
        assert len(set(order)) == len(order) == 27
        assert sorted(i for i in order if i >= 1000) == list(range(1000, 1007))
    assert epoch(0) == first
    assert {i for i in first if i < 100} != {i for i in second if i < 100}
    assert first != epoch(0, seed=4)
    assert len({i for e in range(40) for i in epoch(e) if i < 100}) == 100  # in time every edge has its turn


@pytest.fixture
def pipeline(shop: tuple[Path, Path]) -> tuple[BatchPipeline, SeedStream]:
    graph = LocalGraph(shop[1])
    steps = [
        SampleNeighbors(graph, [FanoutByType(default=3)] * 2, seed=3),
        FetchFeatures({"item": {"price": GraphFeature(graph, "item", "price")}}),
    ]
    rows = graph.label_rows("item", "kind", "train")
    return BatchPipeline(NodeSeeder("item", graph.label("item", "kind")), steps), SeedStream(rows, 32, 3)


def assert_equal(a: MiniBatch, b: MiniBatch) -> None:
    one: list[torch.Tensor] = []
    two: list[torch.Tensor] = []
    map_tensors(a, lambda t: (one.append(t), t)[1])
    map_tensors(b, lambda t: (two.append(t), t)[1])
    assert a.position == b.position
    assert len(one) == len(two) > 10
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


def test_a_batch_depends_on_its_position_alone(pipeline: tuple[BatchPipeline, SeedStream]) -> None:
    made, seeds = pipeline
    whole = list(epoch_batches(made, seeds, 1))
    assert len(whole) == seeds.steps > 3
    for i, batch in enumerate(epoch_batches(made, seeds, 1, first_step=2)):
        assert_equal(batch, whole[i + 2])
    assert sum(len(b.seeds["item"]) for b in whole) == len(seeds.ids)


@pytest.mark.dist
@pytest.mark.parametrize("workers", [1, 2])
def test_sampler_processes_give_the_same_batches(pipeline: tuple[BatchPipeline, SeedStream], workers: int) -> None:
    made, seeds = pipeline
    for a, b in zip(epoch_batches(made, seeds, 0), epoch_batches(made, seeds, 0, workers=workers), strict=True):
        assert_equal(a, b)


class _Dies:
    def __call__(self, batch: MiniBatch) -> MiniBatch:
        if batch.position.step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


@pytest.mark.dist
def test_a_killed_sampler_process_is_an_error_not_a_hang(pipeline: tuple[BatchPipeline, SeedStream]) -> None:
    made, seeds = pipeline
    dying = BatchPipeline(made.seeder, [*made.steps, _Dies()])
    with pytest.raises(LaunchError, match="sampler processes must deliver a batch within 30 s"):
        list(epoch_batches(dying, seeds, 0, workers=1, timeout_seconds=30))


def test_bytes_and_devices(pipeline: tuple[BatchPipeline, SeedStream]) -> None:
    batch = next(iter(epoch_batches(*pipeline, 0)))
    assert tensor_bytes(batch.seeds) == 8 * len(batch.seeds["item"])
    assert_equal(batch, batch.to(torch.device("cpu")))


class _DiesAtOnce:
    def __call__(self, batch: MiniBatch) -> MiniBatch:
        os.kill(os.getpid(), signal.SIGKILL)
        return batch


@pytest.mark.dist
def test_sampler_processes_that_die_while_others_start(pipeline: tuple[BatchPipeline, SeedStream]) -> None:
    made, seeds = pipeline
    dying = BatchPipeline(made.seeder, [_DiesAtOnce()])
    for epoch in range(2):
        with pytest.raises(LaunchError, match="sampler processes must deliver a batch within 30 s"):
            list(epoch_batches(dying, seeds, epoch, workers=4, timeout_seconds=30))


class _IsSlow:
    def __call__(self, batch: MiniBatch) -> MiniBatch:
        time.sleep(0.2)
        return batch


@pytest.mark.dist
def test_the_error_of_a_killed_sampler_process_comes_where_a_batch_is_asked_for(
    pipeline: tuple[BatchPipeline, SeedStream],
) -> None:
    made, seeds = pipeline
    batches = epoch_batches(BatchPipeline(made.seeder, [*made.steps, _IsSlow()]), seeds, 0, workers=1)
    next(batches)
    (sampler,) = multiprocessing.active_children()
    assert sampler.pid is not None
    os.kill(sampler.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.01)  # in the middle of a training step, say: nothing is raised here
    assert not multiprocessing.active_children()
    with pytest.raises(LaunchError, match="sampler processes"):
        list(batches)
    assert len(list(epoch_batches(made, seeds, 0, workers=1))) == seeds.steps  # no shadow of the dead one


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 32), (1_279, 32), (1_280, 64), (10_240, 512), (20_479, 512), (20_480, 1024), (10**9, 1024)]
)
def test_few_rows_make_small_batches(rows: int, size: int) -> None:
    assert rows_a_step("auto", rows) == size
    assert rows_a_step(7, rows) == 7
