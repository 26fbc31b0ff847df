"""Ids and links: what values decide, and what names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from gconstruct.guess.facts import TableFacts
from gconstruct.guess.keys import find_ids, find_links
from gconstruct.guess.measure import look
from gconstruct.guess.sketch import Sketch
from gconstruct.guess.sources import Source
from gconstruct.hashing import hash_strings
from graphstorm_like.config.rows import CsvOptions


def table(called: str, **columns: list[Any]) -> TableFacts:
    """Facts about a table in memory."""
    found = {}
    for column, values in columns.items():
        array = pa.chunked_array([pa.array(values)])
        sketch = Sketch()
        sketch.add(hash_strings(array.drop_null().cast(pa.large_string())))
        facts = look(column, array, False)
        keyed = facts.kind in ("string", "integer")
        found[column] = replace(facts, sketch=sketch if keyed else None, distinct=sketch.distinct)
    rows = len(next(iter(columns.values())))
    return TableFacts(called, found, rows, Source(called, (), (), {}, CsvOptions()))


def decide(*tables: TableFacts) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """(id column by table, table by linked column)"""
    named = {found.name: found for found in tables}
    ids = find_ids(named)
    links = find_links(named, ids)
    found = {(name, link.column): link.table for name, several in links.items() for link in several}
    return {name: own.column for name, own in ids.items()}, found


USERS = table("users", user_id=list(range(100)), age=[20 + i % 50 for i in range(100)])
ITEMS = table("items", id=list(range(500)), price=[float(i) for i in range(500)])


def test_whole_numbers_that_lie_within_ids_are_no_links() -> None:
    ids, links = decide(USERS, ITEMS)
    assert ids == {"users": "user_id", "items": "id"}
    assert links == {}


def test_names_decide_between_tables_that_have_the_values() -> None:
    pairs = table("buys", user_id=[1, 2, 3, 4] * 10, item_id=[5, 6, 7, 8] * 10)
    assert decide(USERS, ITEMS, pairs)[1] == {("buys", "user_id"): "users", ("buys", "item_id"): "items"}


def test_values_decide_against_names() -> None:
    elsewhere = table("buys", user_id=[1_000, 2_000, 3_000], item_id=[1, 2, 3])
    assert decide(USERS, ITEMS, elsewhere)[1] == {("buys", "item_id"): "items"}


def test_pairs_without_telling_names_go_to_the_table_that_they_cover_most() -> None:
    cites = table("cites", citing=list(range(0, 480)), cited=[i * 7 % 490 for i in range(480)])
    assert decide(USERS, ITEMS, cites)[1] == {("cites", "citing"): "items", ("cites", "cited"): "items"}


def test_some_values_may_be_unknown() -> None:
    pairs = table("buys", user_id=[*range(60), *range(1_000, 1_020)], item_id=[1] * 80)
    assert decide(USERS, ITEMS, pairs)[1][("buys", "user_id")] == "users"


def test_text_and_whole_numbers_are_no_ids_of_one_type() -> None:
    pairs = table("buys", user_id=[str(i) for i in range(50)], item_id=list(range(50)))
    assert decide(USERS, ITEMS, pairs)[1] == {("buys", "item_id"): "items"}


def test_ids_of_another_table_are_a_link() -> None:
    profiles = table("user_profiles", user_id=list(range(90)), score=[1.5] * 90)
    ids, links = decide(USERS, profiles)
    assert ids == {"users": "user_id"}
    assert links == {("user_profiles", "user_id"): "users"}


def test_unique_numbers_that_are_no_ids() -> None:
    measured = table("measured", cents=list(range(100, 200)), name=[f"n{i}" for i in range(100)])
    assert decide(measured)[0] == {"measured": "name"}


def test_an_id_by_name_may_repeat_a_little() -> None:
    values = [f"u{i}" for i in range(99)] + ["u0"]
    ids = find_ids({"users": table("users", id=values)})
    assert not ids["users"].clean
    assert find_ids({"users": table("users", id=values[:50] * 2)}) == {}


@pytest.mark.parametrize("column", ["parent_item", "parent_id"])
def test_links_within_a_table(column: str) -> None:
    tree = table("items", id=list(range(50)), **{column: [None, *(i // 2 for i in range(49))]})
    assert decide(tree)[1] == {("items", column): "items"}
