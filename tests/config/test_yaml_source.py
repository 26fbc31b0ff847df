"""YAML is read as people expect: YAML 1.2 words, keys that are text, lines that are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.config.yaml_source import dotted, parse_yaml
from graphstorm_like.errors import ConfigError

from .conftest import good_text


def read(text: str) -> Any:
    return parse_yaml(text, "p.yaml").data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("7", 7),
        ("-7", -7),
        ("1_000_000", 1_000_000),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("1e-3", 1e-3),
        ("1E3", 1000.0),
        ("1.5e+3", 1500.0),
        ("-2.", -2.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("'1e-3'", "1e-3"),
        ("1e", "1e"),
        ("e3", "e3"),
    ],
)
def test_values(text: str, value: object) -> None:
    found = read(f"x: {text}\n")["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("key", ["on", "off", "yes", "no", "true", "null", "~", "1", "1.5", "2020-01-01"])
def test_keys_are_text(key: str) -> None:
    assert read(f"{key}: 3\n") == {key: 3}


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n"])
def test_node_types_may_be_such_words(word: str, load: Callable[..., Pipeline]) -> None:
    text = good_text("link").replace("author", word).replace("reverse: false", f"reverse: {word}_x")
    graph = load(text).graph
    assert set(graph.nodes) == {word, "paper"}
    assert graph.edge_types()[:2] == [(word, "writes", "paper"), ("paper", "writes_rev", word)]


@pytest.mark.parametrize("word", ["null", "true"])
def test_node_types_that_are_yaml_words_need_quotes_as_values(
    word: str, load: Callable[..., Pipeline], problems: Callable[..., list[str]]
) -> None:
    text = good_text("link").replace("author", word)
    said = problems(text)
    assert len(said) == 1
    assert said[0].startswith("{path}:8: graph.edges[0].source: must be text (got ")
    assert set(load(text.replace(f"source: {word}", f"source: '{word}'")).graph.nodes) == {word, "paper"}


def test_launch_on_local(load: Callable[..., Pipeline]) -> None:
    assert load(good_text("link") + "launch: {on: local}\n").launch.on == "local"
    assert load(good_text("link") + "launch:\n  on: local\n").launch.on == "local"
    assert load(good_text("link") + 'launch: {"on": local}\n').launch.on == "local"


def test_anchors_and_merges(load: Callable[..., Pipeline], problems: Callable[..., list[str]]) -> None:
    text = good_text("link").replace(
        "split: {train: 0.8, valid: 0.1, test: 0.1}", "split: &split {train: 0.8, valid: 0.1, test: 0.1}"
    )
    text = text.replace("reverse: false", "reverse: false, split: {<<: *split, seed: 3}")
    split = load(text).graph.edges[1].split
    assert split is not None
    assert (split.train, split.seed) == (0.8, 3)
    assert problems(text.replace("seed: 3", "test: 0.3")) == [
        "{path}:9: graph.edges[1].split: must have fractions that sum to at most 1 (they sum to 1.2)"
    ]


def test_places() -> None:
    places = parse_yaml("# a comment\na:\n  b: 1\n\n  c:\n    - x\n    - {y: 2,\n       z: 3}\n", "p.yaml").places
    assert {dotted(path): place.text for path, place in places.items() if path} == {
        "a": "p.yaml:2",
        "a.b": "p.yaml:3",
        "a.c": "p.yaml:5",
        "a.c[0]": "p.yaml:6",
        "a.c[1]": "p.yaml:7",
        "a.c[1].y": "p.yaml:7",
        "a.c[1].z": "p.yaml:8",
    }


def test_dotted_quotes_what_would_be_read_as_two_keys() -> None:
    assert dotted(("graph", "nodes", "a.b", "files", 0)) == "graph.nodes.'a.b'.files[0]"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"pipeline\.yaml: must be a text file in UTF-8$"):
        load_pipeline(tmp_path / "pipeline.yaml")
    with pytest.raises(ConfigError, match=r"\(No such file or directory\)\. Did you mean 'pipeline\.yaml'\?$"):
        load_pipeline(tmp_path / "pipelin.yaml")
    with pytest.raises(ConfigError, match=r"must be a file that can be read \(Is a directory\)"):
        load_pipeline(tmp_path)
    (tmp_path / "bell.yaml").write_text("name: a\x07b\n")
    with pytest.raises(ConfigError, match=r"bell\.yaml: must be valid YAML: unacceptable character"):
        load_pipeline(tmp_path / "bell.yaml")


def test_a_byte_order_mark_and_crlf_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + good_text("link").replace("\n", "\r\n").encode())
    assert load_pipeline(path).name == "papers"


ALIAS_BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
MERGE_BOMB = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
)
ALIAS_CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: !!timestamp x\n", "p.yaml:2: must be valid YAML: the tag !!timestamp does not fit 'x'"),
        ("a: !!timestamp 2020-01-01\n", "the tag !!timestamp does not fit '2020-01-01'"),
        ("a: !!int x\n", "p.yaml:1: must be valid YAML: the tag !!int does not fit 'x'"),
        ("a: !!float x\n", "the tag !!float does not fit 'x'"),
        ("a: !!bool maybe\n", "the tag !!bool does not fit 'maybe'"),
        ("a: !!map x\n", "the tag !!map does not fit 'x'"),
        ("a: !!str [1]\n", "the tag !!str does not fit what follows it"),
        ("a: !!set {x, y}\n", "the tag !!set does not fit what follows it"),
        ("a: !!binary x\n", "the tag !!binary does not fit 'x'"),
        ("a: !mine x\n", "could not determine a constructor for the tag '!mine'"),
        (f"a: {'9' * 5000}\n", "the tag !!int does not fit '999"),
        (ALIAS_BOMB, "must have at most 250,000 keys and values, aliases followed"),
        (MERGE_BOMB, "must have at most 250,000 keys and values, aliases followed"),
        (ALIAS_CHAIN, "must be nested at most 64 levels deep"),
        ("[" * 100_000, "p.yaml:1: must be valid YAML: must be nested at most 64 levels deep"),
        ("{a: " * 5000, "must be nested at most 64 levels deep"),
        ("".join(f"{' ' * i}a:\n" for i in range(500)), "must be nested at most 64 levels deep"),
        ("a: x\n" * ((16 << 20) // 5 + 1), "p.yaml: must have at most 16,777,216 characters"),
    ],
    ids=lambda value: str(value)[:40].replace("\n", " "),
)
def test_what_is_no_configuration_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["!!timestamp x", "!!int x", "[" * 1000, "!!map 5"])
def test_overrides_have_the_same_limits(value: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(good_text("node"))
    with pytest.raises(ConfigError, match="the value must be valid YAML"):
        load_pipeline(path, [f"train.lr={value}"])


def test_tags_that_fit_are_read() -> None:
    assert read("[!!str 5, !!int 7, !!float 3, !!bool true, !!null ~]") == ["5", 7, 3.0, True, None]
