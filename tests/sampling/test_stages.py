"""Link batches: no target edge, forward or reverse, in any sampled block; masks; negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import Block
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch, StreamPosition
from graphstorm_like.sampling.stages import LinkSeeder, SampleNeighbors

SIMILAR = ("item", "similar", "item")
REVERSE = ("item", "similar_rev", "item")


def message_pairs(blocks: tuple[Block, ...], ids: np.ndarray, edge_type: tuple[str, str, str]) -> list[tuple[int, int]]:
    """(source, target) node ids of all edges of a type in all blocks."""
    pairs: list[tuple[int, int]] = []
    for block in blocks:
        if edge_type in block.relations:
            r = block.relations[edge_type]
            to = ids[np.repeat(r.rows.numpy(), np.diff(r.offsets.numpy()))]
            pairs += list(zip(ids[r.sources.numpy()].tolist(), to.tolist(), strict=True))
    return pairs


def link_batch(shop: tuple[Path, Path], exclude: bool, uniform: int = 8) -> tuple[LocalGraph, np.ndarray, MiniBatch]:
    graph = LocalGraph(shop[1], hide=[SIMILAR])
    train = graph.edge_rows(SIMILAR, "train")
    chosen = np.random.default_rng(0).choice(train, size=64, replace=False)
    seeder = LinkSeeder(graph, SIMILAR, train, uniform=uniform, seed=1)
    sampler = SampleNeighbors(graph, [FanoutByType(default=-1)] * 2, seed=1, exclude_targets=exclude)
    return graph, chosen, sampler(seeder(chosen, StreamPosition(0, 0)))


@pytest.mark.parametrize("exclude", [True, False])
def test_target_edges_are_in_no_block(shop: tuple[Path, Path], exclude: bool) -> None:
    graph, chosen, batch = link_batch(shop, exclude)
    source, target = graph.edges(SIMILAR, chosen)
    banned = set(zip(source.tolist(), target.tolist(), strict=True))
    ids = batch.input_ids["item"].numpy()
    forward = sum(p in banned for p in message_pairs(batch.blocks, ids, SIMILAR))
    backward = sum((t, s) in banned for s, t in message_pairs(batch.blocks, ids, REVERSE))
    if exclude:
        assert (forward, backward) == (0, 0)
        assert len(message_pairs(batch.blocks, ids, SIMILAR)) > 100
    else:  # the check can fail: without exclusion they are there
        assert forward >= len(banned)
        assert backward >= len(banned)


def test_targets_point_at_the_right_nodes(shop: tuple[Path, Path]) -> None:
    graph, chosen, batch = link_batch(shop, True)
    source, target = graph.edges(SIMILAR, chosen)
    seeds, targets = batch.seeds["item"].numpy(), batch.targets
    assert isinstance(targets, LinkTargets)
    assert (seeds[targets.sources.numpy()] == source).all()
    assert (seeds[targets.targets.numpy()] == target).all()
    assert len(np.unique(seeds)) == len(seeds)
    assert len(targets.negatives) == 8


def test_mask_is_known_targets_own_target_and_self(shop: tuple[Path, Path]) -> None:
    graph, chosen, batch = link_batch(shop, True, uniform=200)
    targets = batch.targets
    assert isinstance(targets, LinkTargets)
    seeds = batch.seeds["item"].numpy()
    known = set(zip(*(x.tolist() for x in graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train"))), strict=True))
    s = seeds[targets.sources.numpy()]
    candidates = seeds[np.concatenate([targets.targets.numpy(), targets.negatives.numpy()])]
    want = np.array([[(a, b) in known or a == b for b in candidates.tolist()] for a in s.tolist()])
    np.fill_diagonal(want[:, : len(s)], False)
    np.testing.assert_array_equal(targets.mask.numpy(), want)
    assert want[:, len(s) :].any()
    assert want[:, : len(s)].any()


def test_negatives_are_a_function_of_the_position(shop: tuple[Path, Path]) -> None:
    graph = LocalGraph(shop[1])
    train = graph.edge_rows(SIMILAR, "train")
    seeder = LinkSeeder(graph, SIMILAR, train, uniform=50, seed=1)

    def drawn(step: int) -> list[int]:
        batch = seeder(train[:4], StreamPosition(0, step))
        assert isinstance(batch.targets, LinkTargets)
        return batch.seeds["item"][batch.targets.negatives].tolist()

    assert drawn(3) == drawn(3) != drawn(4)
