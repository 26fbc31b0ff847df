"""Link batches: no target edge, forward or reverse, in any sampled block; masks; negatives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from graphstorm_like.config.negatives import UniformNegativesConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import Block
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch, RelationLinks, StreamPosition, Targets, link_parts
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.steps import SampleNeighbors

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
    seeder = LinkSeeder(graph, {SIMILAR: train}, UniformNegativesConfig(type="uniform", uniform=uniform), seed=1)
    sampler = SampleNeighbors(graph, [FanoutByType(default=-1)] * 2, seed=1, exclude_targets=exclude)
    return graph, chosen, sampler(seeder(chosen, StreamPosition(0, 0)))


def ends(batch: MiniBatch) -> tuple[RelationLinks, np.ndarray, np.ndarray]:
    """(the one relation's links, ids of its sources, ids of its candidates)."""
    assert isinstance(batch.targets, LinkTargets)
    (part,) = link_parts(batch.targets)
    seeds = batch.seeds["item"]
    candidates = part.candidates(seeds[batch.targets.pools["item"].mine])
    return part, seeds[part.sources].numpy(), candidates.numpy()


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
    _, sources, candidates = ends(batch)
    assert (sources == source).all()
    assert (candidates[: len(target)] == target).all()
    assert len(batch.seeds["item"].unique()) == len(batch.seeds["item"])
    assert len(candidates) == len(target) + 8


def test_mask_is_known_targets_own_target_and_self(shop: tuple[Path, Path]) -> None:
    graph, chosen, batch = link_batch(shop, True, uniform=200)
    part, s, candidates = ends(batch)
    known = set(zip(*(x.tolist() for x in graph.edges(SIMILAR, graph.edge_rows(SIMILAR, "train"))), strict=True))
    want = np.array([[(a, b) in known or a == b for b in candidates.tolist()] for a in s.tolist()])
    np.fill_diagonal(want[:, : len(s)], False)
    np.testing.assert_array_equal(part.mask.numpy(), want)
    assert want[:, len(s) :].any()
    assert want[:, : len(s)].any()


def test_negatives_are_a_function_of_the_position(shop: tuple[Path, Path]) -> None:
    graph = LocalGraph(shop[1])
    train = graph.edge_rows(SIMILAR, "train")
    seeder = LinkSeeder(graph, {SIMILAR: train}, UniformNegativesConfig(type="uniform", uniform=50), seed=1)

    def drawn(step: int) -> list[int]:
        batch = seeder(train[:4], StreamPosition(0, step))
        return ends(batch)[2][4:].tolist()

    assert drawn(3) == drawn(3) != drawn(4)


@dataclasses.dataclass(frozen=True)
class PairTargets(Targets):
    """What a seeder of the user's own may ask."""

    pairs: tuple[torch.Tensor, dict[str, torch.Tensor]]
    name: str


def test_targets_of_a_seeder_of_ones_own_move_with_the_batch() -> None:
    targets = PairTargets((torch.zeros(2), {"weights": torch.ones(3)}), "mine")
    batch = MiniBatch({"item": torch.arange(2)}, StreamPosition(0, 0), targets).to(torch.device("meta"))
    assert isinstance(batch.targets, PairTargets)
    first, others = batch.targets.pairs
    assert first.device.type == others["weights"].device.type == "meta"
    assert batch.targets.name == "mine"
    assert link_parts(batch.targets) == ()
    assert batch.rows(SIMILAR) is None
