"""Names as words, and what they suggest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gconstruct.guess.names import as_name, kinship, looks_like_key, singular, thing, words
from graphstorm_like.config.base import Name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("user_id", ["user", "id"]),
        ("userID", ["user", "id"]),
        ("OrderItems", ["order", "items"]),
        ("~from", ["from"]),
        ("h2o", ["h", "2", "o"]),
        ("größe", ["größe"]),
        ("", []),
    ],
)
def test_words(name: str, found: list[str]) -> None:
    assert words(name) == found


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("queries", "query"), ("classes", "class"), ("movies", "movie"), ("boxes", "box"), ("news", "news"),
        ("bus", "bus"), ("users", "user"), ("analysis", "analysis"), ("address", "address"),
    ],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("products", "product"), ("user_id", "user"), ("homepage_host", "homepage_host"), ("id", "id"),
        ("1st place", "t_1_st_place"), ("~id", "id"),
    ],
)  # fmt: skip
def test_thing(name: str, what: str) -> None:
    assert thing(name) == what


@given(st.text(max_size=30))
def test_every_text_becomes_a_name(text: str) -> None:
    TypeAdapter(Name).validate_python(as_name(text))
    TypeAdapter(Name).validate_python(thing(text))


def test_kinship() -> None:
    assert kinship("user_id", "users", "id") == 1.0
    assert kinship("sku", "products", "sku") == 1.0
    assert kinship("cited_paper", "papers", "id") == 0.75
    assert kinship("user_id", "user_profiles", "id") == 0.5
    assert kinship("age", "users", "id") == 0.0
    assert kinship("id", "users", "id") == 0.0, "every table may have an id"


def test_names_of_keys() -> None:
    assert [looks_like_key(name) for name in ("user_id", "source", "cited", "dst", "age", "title")] == [True] * 4 + [
        False
    ] * 2
