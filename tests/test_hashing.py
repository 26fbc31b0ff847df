from __future__ import annotations

from pathlib import Path

import pytest

from graphstorm_like.hashing import hash_facts

ROOT = Path(__file__).parents[1]


def test_order_of_keys_does_not_count_but_all_else_does() -> None:
    facts = {"a": 1, "b": {"c": [1, 2], "d": None}}
    assert hash_facts(facts) == hash_facts({"b": {"d": None, "c": [1, 2]}, "a": 1})
    others = [{"a": 1.0, "b": facts["b"]}, {"a": 1, "b": {"c": [2, 1], "d": None}}, {"a": 1}]
    assert len({hash_facts(other) for other in [facts, *others]}) == 4


def test_fingerprints_of_earlier_versions_stay() -> None:
    assert hash_facts({"b": 1, "a": [1, 2]}) == "428a7cdfbe8269be4ebf0eb69ad6cb02"


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        hash_facts({"a": {1, 2}})


def test_it_is_the_only_place() -> None:
    files = [path for package in ("graphstorm_like", "gconstruct") for path in (ROOT / package).rglob("*.py")]
    others = [path.name for path in files if "blake2b(json.dumps" in path.read_text(encoding="utf-8")]
    assert others == ["hashing.py"]
