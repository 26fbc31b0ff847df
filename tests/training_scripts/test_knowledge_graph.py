"""The recipe of knowledge graphs: its rules hold, and decoders know those that theory says they can."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

FOLDER = Path(__file__).parents[2] / "training_scripts" / "knowledge_graph"
sys.path.insert(0, str(FOLDER))

import compare  # noqa: E402
import make_triples  # noqa: E402

Triple = tuple[str, str, str]


def follows(triple: Triple, told: set[Triple]) -> bool:
    """Whether a triple follows from others by the rule of its relation."""
    head, relation, tail = triple
    if relation == "married_to":
        return (tail, relation, head) in told
    if relation == "precedes":
        return (head, "before", tail) in told
    if relation == "below":
        return (tail, "above", head) in told
    between = [t for h, r, t in told if (h, r) == (head, "right")]
    return relation == "diagonal" and any((middle, "down", tail) in told for middle in between)


def test_test_triples_follow_from_training_by_their_rule_alone() -> None:
    rows = make_triples.make_triples(size=5).to_pylist()
    by_split: dict[str, set[Triple]] = {"train": set(), "valid": set(), "test": set()}
    for row in rows:
        by_split[row["split"]].add((row["head"], row["relation"], row["tail"]))
    assert len(rows) == sum(map(len, by_split.values()))
    assert {relation for _, relation, _ in by_split["test"]} == {r[-1] for r in make_triples.RULES.values()}
    assert all(follows(triple, by_split["train"]) for split in ("valid", "test") for triple in by_split[split])
    told = by_split["train"]
    assert not any((t, r, h) in told for h, r, t in told if r != "married_to")
    assert make_triples.make_triples(size=5, seed=1) != make_triples.make_triples(size=5)


@pytest.mark.slow
def test_decoders_know_the_rules_that_they_can_express(tmp_path: Path) -> None:
    """DistMult is symmetric, and knows no other rule; TransE knows all but symmetry; ComplEx, with N3, all of these."""
    (tmp_path / "tables").mkdir()
    pq.write_table(make_triples.make_triples(size=6), tmp_path / "tables" / "triples.parquet")
    settings = ["train.epochs=150", "train.evaluate_every=150"]
    known = {
        name: compare.of_rules(compare.run(tmp_path, name, settings), "hits@1")
        for name in ("DistMult", "ComplEx", "TransE, L2")
    }
    for rule in ("antisymmetry", "inversion"):
        assert known["DistMult"][rule] < 0.6 < 0.8 < min(known["TransE, L2"][rule], known["ComplEx"][rule])
    assert (
        known["TransE, L2"]["symmetry"] < 0.2 < 0.8 < min(known["DistMult"]["symmetry"], known["ComplEx"]["symmetry"])
    )
    assert known["DistMult"]["composition"] < 0.5 < 0.8 < known["TransE, L2"]["composition"]
