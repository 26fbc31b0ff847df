"""No misspelt key is ever ignored, whatever the slip: the promise that the strict tree makes."""

from __future__ import annotations

import copy
import re
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.yaml_source import KeyPath, dotted, parse_yaml
from graphstorm_like.errors import ConfigError

from .conftest import good_text

GOOD = {name: parse_yaml(good_text(name), name).data for name in ("node", "link", "pretraining")}
FREE = ("nodes", "features", "text", "labels", "inputs", "by_edge_type")
"""Mappings whose keys are the user's own names."""


def key_paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Paths of all keys that are ours, not the user's."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if not (path and path[-1] in FREE):
                yield (*path, key)
            yield from key_paths(entry, (*path, key))
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from key_paths(entry, (*path, i))


LEGAL = {key for model in Pipeline.model_json_schema()["$defs"].values() for key in model.get("properties", ())}
"""All keys of the tree: a slip may hit another one."""
PLACES = [(name, path) for name, data in GOOD.items() for path in key_paths(data)]


@st.composite
def typos(draw: st.DrawFn, word: str) -> str:
    """One letter added, left out, changed, or swapped with its neighbour."""
    kind = draw(st.sampled_from(["add", "drop", "change", "swap"]))
    at = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(string.ascii_lowercase + "_"))
    if kind == "add":
        return word[:at] + letter + word[at:]
    if kind == "drop":
        return word[:at] + word[at + 1 :]
    if kind == "change":
        return word[:at] + letter + word[at + 1 :]
    return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


def renamed(data: Any, path: KeyPath, name: str) -> tuple[Any, bool]:
    """`data` with the key at `path` renamed; False when its mapping has the name already."""
    data = copy.deepcopy(data)
    here = data
    for part in path[:-1]:
        here = here[part]
    if name in here:
        return data, False
    here[name] = here.pop(path[-1])
    return data, True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_typo_of_a_key_is_refused(data: st.DataObject) -> None:
    name, path = data.draw(st.sampled_from(PLACES))
    word = str(path[-1])
    typo = data.draw(typos(word))
    if typo == word or typo in LEGAL:
        return
    broken, is_new = renamed(GOOD[name], path, typo)
    if not is_new:
        return
    with pytest.raises(ConfigError) as caught:
        build_pipeline(broken, "p")
    named = dotted((*path[:-1], typo))
    known = [p for p in caught.value.problems if p.startswith(f"p: {named}: unknown key")]
    assert known, caught.value.problems


@pytest.mark.parametrize(
    ("name", "path"), PLACES, ids=lambda value: dotted(value) if isinstance(value, tuple) else value
)
def test_a_doubled_letter_asks_for_the_right_key(name: str, path: KeyPath) -> None:
    word = str(path[-1])
    if len(word) < 3:
        return  # 'idd' and 'onn' are too short to be near to anything but by chance
    typo = word + word[-1]
    broken, _ = renamed(GOOD[name], path, typo)
    with pytest.raises(ConfigError) as caught:
        build_pipeline(broken, "p")
    said = [p for p in caught.value.problems if p.startswith(f"p: {dotted((*path[:-1], typo))}: unknown key")]
    assert len(said) == 1
    assert said[0].endswith(f"Did you mean '{word}'?")


ODD: list[Any] = [
    None, 3, -1, "x", "", True, [], {}, [1], {"a": 1}, {1: 2}, 1.5, float("nan"), b"x", {"type": [1]}, {"type": None},
    {"type": 3, "on": 3, "encode": 3},
]  # fmt: skip
GOT_LIKE = re.compile(r"p: (\S+?|.*'.*): (must |unknown )")
JARGON = re.compile(r"Input|Value|should|pydantic|Keys|function-|constrained")


def problems_of(data: Any) -> tuple[str, ...]:
    try:
        build_pipeline(data, "p")
    except ConfigError as err:
        return err.problems
    return ()


def all_paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from all_paths(entry, (*path, key))


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_anywhere_are_taken_or_refused_in_plain_words(name: str, odd: Any) -> None:
    """Never a traceback, never the words of the machinery; about 2,000 broken configurations."""
    for path in all_paths(GOOD[name]):
        data = copy.deepcopy(GOOD[name])
        here = data
        for part in path[:-1]:
            here = here[part]
        here[path[-1]] = odd
        assert [m for m in problems_of(data) if not GOT_LIKE.match(m) or JARGON.search(m)] == []
