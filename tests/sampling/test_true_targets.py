"""Which candidates are known targets: against a loop, for hubs and leaves, few relations and many."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.sampling.many_relations import KnownByRelation, KnownTargets
from graphstorm_like.sampling.true_targets import TrueTargets

R, Q = ("a", "r", "a"), ("a", "q", "a")


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 12), st.integers(0, 60), st.integers(1, 20), st.integers(0, 10_000))
def test_masks_of_hubs_and_leaves(nodes: int, edges: int, candidates: int, seed: int) -> None:
    """Few nodes and many edges: most sources have more targets than there are candidates."""
    rng = np.random.default_rng(seed)
    ends = {e: (rng.integers(nodes, size=edges), rng.integers(nodes, size=edges)) for e in (R, Q)}
    true_targets = {e: TrueTargets(source, target, nodes) for e, (source, target) in ends.items()}
    asked = {e: rng.integers(nodes, size=size) for e, size in ((R, 5), (Q, 9))}
    offered = rng.integers(-1, nodes, size=candidates)
    known = {e: set(zip(*(end.tolist() for end in both), strict=True)) for e, both in ends.items()}
    want = [[(s, c) in known[e] for c in offered.tolist()] for e, sources in asked.items() for s in sources.tolist()]
    pairs = [(e, s, t) for e, sources in asked.items() for s in sources.tolist() for a, t in known[e] if a == s]
    for every in (KnownByRelation(true_targets), KnownTargets(true_targets, nodes)):
        assert every.mask(asked, offered).tolist() == want
        row, target = every.pairs(asked)
        of_row = [(e, s) for e, sources in asked.items() for s in sources.tolist()]
        assert {(*of_row[r], t) for r, t in zip(row.tolist(), target.tolist(), strict=True)} == set(pairs)
