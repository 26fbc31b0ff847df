"""Values as YAML text: what the pipeline's reader gets back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gconstruct.yaml_text import WIDTH, Lines, flow, must_be_free, write_new
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False, width=32))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@given(values)
def test_what_is_written_is_read(value: object) -> None:
    assert parse_yaml(f"key: {flow(value)}\n", "test").data == {"key": value}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("user_id", "user_id"), ("no", '"no"'), ("1e3", '"1e3"'), ("2020-01-01", '"2020-01-01"'), ("", '""'),
        (0.001, "0.001"), (1e-5, "1e-5"), (2.0, "2.0"), ({"a": [1, True]}, "{ a: [1, true] }"), ({}, "{}"),
        ("tables/*.csv", '"tables/*.csv"'),
    ],
)  # fmt: skip
def test_plain_where_it_can_be(value: object, written: str) -> None:
    assert flow(value) == written


@given(texts, texts)
def test_comments_never_become_data(key: str, comment: str) -> None:
    lines = Lines()
    lines.remark(1, comment)
    lines.entry(0, key, 1, comment)
    lines.remark(0, comment)
    assert parse_yaml(str(lines), "test").data == {key: 1}


def test_long_comments_stand_above() -> None:
    lines = Lines()
    lines.entry(2, "key", "value", "many words " * 30)
    assert all(len(line) <= WIDTH for line in str(lines).splitlines())


def test_a_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "new" / "p.yaml"
    must_be_free(path, False)
    write_new("a: 1\n", path)
    with pytest.raises(ConfigError, match="--force"):
        must_be_free(path, False)
    must_be_free(path, True)
    assert [p.name for p in path.parent.iterdir()] == ["p.yaml"]
