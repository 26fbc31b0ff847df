"""Dotted overrides set what they name, and are named when what they set is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.config.overrides import apply_override
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.errors import ConfigError

from .conftest import good_text

GOOD = good_text("node")
COVERS = ("topic", "covers", "paper")


@pytest.mark.parametrize(
    ("text", "look", "value"),
    [
        ("train.lr=2e-3", lambda p: p.train.lr, 2e-3),
        ("train.epochs=9", lambda p: p.train.epochs, 9),
        ("name=other", lambda p: p.name, "other"),
        ("name=no", lambda p: p.name, "no"),
        ("graph.edges[0].files=new.parquet", lambda p: p.graph.edges[0].files, ["new.parquet"]),
        ("graph.edges[1].files=[a.parquet, b.parquet]", lambda p: p.graph.edges[1].files, ["a.parquet", "b.parquet"]),
        ("graph.nodes.paper.features.year.column=y", lambda p: p.graph.nodes["paper"].features["year"].column, "y"),
        ("graph.nodes.topic.files=t.parquet", lambda p: p.graph.nodes["topic"].files, ["t.parquet"]),
        ("train.fanouts=[3, 4]", lambda p: [f.default for f in p.train.fanouts], [3, 4]),
        ("train.fanouts[0]=7", lambda p: p.train.fanouts[0].default, 7),
        ("train.fanouts[1].by_edge_type.topic:covers:paper=0", lambda p: p.train.fanouts[1].of(COVERS), 0),
        ("train.early_stop=null", lambda p: p.train.early_stop, None),
        ("train.clip_norm=", lambda p: p.train.clip_norm, None),
        ("launch.on=local", lambda p: p.launch.on, "local"),
        ("train.schedule={type: constant}", lambda p: p.train.schedule.type, "constant"),
        ("graph.base=s3://bucket/a=b", lambda p: p.graph.base, "s3://bucket/a=b"),
    ],
)  # fmt: skip
def test_sets_one_value(
    text: str, look: Callable[[Pipeline], object], value: object, load: Callable[..., Pipeline]
) -> None:
    before = load(GOOD)
    if text.startswith("graph.nodes.topic"):
        assert look(load(GOOD, "graph.nodes.topic.id=id", text)) == value
    elif text.startswith("graph.nodes.paper.features.year"):
        assert look(load(GOOD.replace("year: year", "year: {column: year}"), text)) == value
    else:
        assert look(load(GOOD, text)) == value
    assert look(before) != value or text == "launch.on=local"


def test_makes_missing_sections(load: Callable[..., Pipeline]) -> None:
    pipeline = load(good_text("link"), "train.checkpoint.keep=5", "infer.mode=mini_batch")
    assert pipeline.train.checkpoint.keep == 5
    assert pipeline.infer.mode == "mini_batch"


def test_later_ones_win(load: Callable[..., Pipeline]) -> None:
    assert load(GOOD, "seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    "data",
    [{}, {"nodes": None}, {"nodes": {"a.b": {"id": 1}}}],
)
def test_quoted_keys(data: dict[str, Any]) -> None:
    apply_override(data, "nodes.'a.b'.id=2")
    assert data == {"nodes": {"a.b": {"id": 2}}}


@pytest.mark.parametrize(
    "text",
    [
        "train.lr",
        "=3",
        "",
        "train..lr=3",
        ".lr=3",
        "train.=3",
        "train[x]=3",
        "train[0=3",
        "[0]=3",
        "train .lr=3",
        "a'b=3",
    ],
)
def test_bad_forms(text: str, problems: Callable[..., list[str]]) -> None:
    assert problems(GOOD, text) == [
        f"override '{text}': must be written section.key=value, e.g. train.lr=1e-3 or graph.edges[0].id=key"
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "train.ephocs=3",
            f"train.ephocs: unknown key (known: {', '.join(TrainConfig.model_fields)}). Did you mean 'epochs'?",
        ),
        ("train.track.evry_steps=3", "train.track.evry_steps: unknown key (known: trackers, every_steps). "
                                     "Did you mean 'every_steps'?"),
        ("train.epochs=many", "train.epochs: must be a whole number (got 'many')"),
        ("train.epochs=", "train.epochs: must be a whole number (got nothing). Give it a value, or remove the key"),
        ("train=3", "train: must be a mapping of keys to values (got 3)"),
        ("task.label=venu", "task.label: unknown label 'venu' (known: citations, venue). Did you mean 'venue'?"),
        ("train.lr=[1", "the value must be valid YAML (expected ',' or ']', but got '<stream end>')"),
        ("graph.edges[7].files=a", "graph.edges[7] does not exist (graph.edges has 2 entries, counted from 0)"),
        ("train.fanouts[2]=3", "train.fanouts[2] does not exist (train.fanouts has 2 entries, counted from 0)"),
        ("graph.edges.files=a", "graph.edges is a list, which has no files. Give the entry's number: [0]"),
        ("graph.nodes[0].files=a", "graph.nodes is a section, which has no [0]."),
        ("name.x=3", "name is the value 'papers', which has no x."),
        ("name[0]=3", "name is the value 'papers', which has no [0]."),
    ],
)  # fmt: skip
def test_says_what_is_wrong(text: str, says: str, problems: Callable[..., list[str]]) -> None:
    assert problems(GOOD, text) == [f"override '{text}': {says}"]


def test_overrides_come_after_the_file(problems: Callable[..., list[str]]) -> None:
    said = problems(GOOD.replace("threads: 2", "threads: 0"), "seed=-1", "train.epochs=0")
    assert said == [
        "{path}:85: launch.threads: must be greater than 0 (got 0)",
        "override 'seed=-1': seed: must be at least 0 (got -1)",
        "override 'train.epochs=0': train.epochs: must be greater than 0 (got 0)",
    ]


def test_an_override_heals_the_file(problems: Callable[..., list[str]]) -> None:
    broken = GOOD.replace("epochs: 4", "epochs: 0")
    assert problems(broken) != []
    assert problems(broken, "train.epochs=1") == []


def test_what_is_below_an_override_came_from_it(problems: Callable[..., list[str]]) -> None:
    text = "train.schedule={typ: linear, final_fraction: 2}"
    said = problems(GOOD, text)
    assert len(said) == 2
    assert all(message.startswith(f"override '{text}': train.schedule.") for message in said)


def test_nothing_is_touched_when_the_place_does_not_exist() -> None:
    data = {"edges": [{"files": "a"}]}
    with pytest.raises(ConfigError, match="does not exist"):
        apply_override(data, "edges[1].files=b")
    assert data == {"edges": [{"files": "a"}]}


@pytest.mark.parametrize("value", ["\x00", "\udcff", "\x1b[31m", "a\nb: ["])
def test_what_cannot_be_printed_is_escaped_in_messages(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_override({"train": {}}, f"train.lr={value}")
    assert caught.value.problems[0].isprintable()
