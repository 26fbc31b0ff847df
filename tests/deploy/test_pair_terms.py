"""Models with terms of pairs are applied to the graph that they are given: its texts, its edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.deploy.portable import read_types
from graphstorm_like.graph.local import LocalGraph

PAIRS = [{"type": "common_neighbors", "kinds": 4}, {"type": "text_neighbors", "k": 5}, {"type": "popularity"}]


@pytest.mark.slow
def test_applied_to_the_same_graph_and_to_tables(make_packed: Any) -> None:
    packed = make_packed("link_prediction", task={"pairs": PAIRS})
    ids, whole = ["item-0005", "item-0002"], packed.inferred()
    with packed.model().open(packed.graph) as applied:
        best = applied.links(ids, k=3)
        scored = applied.score_pairs(list(zip(best["source"].to_pylist(), best["target"].to_pylist(), strict=True)))
    wanted = whole.filter(pc.and_(pc.equal(whole["source"], ids[0]), pc.less_equal(whole["rank"], 3)))
    assert sorted(best["target"].to_pylist()[:3]) == sorted(wanted["target"].to_pylist())
    np.testing.assert_allclose(np.sort(wanted["score"]), np.sort(best["score"].to_numpy()[:3]), atol=1e-5)
    np.testing.assert_allclose(scored["score"].to_numpy(), best["score"].to_numpy(), atol=1e-5)
    tables = packed.tables()
    with packed.model().open(tables) as applied:
        terms = applied.experiment.task.pairs.terms
        assert all(parameter.abs().sum() > 0 for parameter in terms[1].parameters())
        votes = terms[1](np.arange(80), None)
        assert votes.abs().sum() > 0
        assert applied.links(ids, k=3).num_rows == 6


@pytest.mark.parametrize(
    ("pairs", "follows"),
    [([{"type": "sketches"}], True), (PAIRS, True), (PAIRS[0], True), (PAIRS[2], False), (PAIRS[1:], False)],
)
def test_relations_that_terms_follow_stay_without_a_graph_network(
    shop: tuple[Path, Path], shop_config: Callable[..., Pipeline], pairs: object, follows: bool
) -> None:
    config = shop_config("link_prediction", task={"pairs": pairs}, model={"gnn": {"type": "none", "hidden": 16}})
    kept = read_types(config, LocalGraph(shop[1]).manifest)
    assert "item:similar:item" in kept
    assert ("user:buys:item" in kept) == follows
