"""The leak guard on graphs with known leaks, and on graphs without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph
from gconstruct.leaks import LEAKS, Leak, find_leaks, read_leaks
from gconstruct.leaks import pairs as pairs_module
from gconstruct.leaks import relations as relations_module
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.partitioners import RandomPartitions
from graphstorm_like.errors import DataError

from ..tables import graph, item, link, write

SPLIT = {"column": "part"}
LONG = "a text that is long enough to be no chance, number {}"


def leaks(config: GraphConfig, said: list[str] | None = None) -> list[Leak]:
    """The findings, the same for one and for three partitions."""
    whole = config.model_copy(update={"path": f"{config.path}-whole"})
    lines: list[str] = [] if said is None else said
    build_graph(whole, force=True, progress=lines.append)
    found = find_leaks(str(whole.path), config)
    assert read_leaks(str(whole.path)) == found
    assert [line for line in lines if line.startswith("leak: ")] == [leak.line() for leak in found]
    parts = config.model_copy(update={"path": f"{config.path}-parts", "partitions": RandomPartitions(count=3)})
    build_graph(parts, force=True)
    in_parts = find_leaks(str(parts.path), config)
    assert [(leak.rule, leak.count, leak.looked_at) for leak in found] == [
        (leak.rule, leak.count, leak.looked_at) for leak in in_parts
    ]
    return found


def ring(folder: Path, count: int = 30, **columns: Any) -> dict[str, Any]:
    """The item type with nodes n0 ... and no columns but these."""
    write(folder / "items.parquet", id=[f"n{i}" for i in range(count)], **columns)
    return {"item": item()}


def written(folder: Path, name: str, edges: list[tuple[int, int, str | None]]) -> str:
    source, target, part = zip(*edges, strict=True)
    ends = {"source": [f"n{i}" for i in source], "target": [f"n{i}" for i in target]}
    write(folder / name, **ends, part=pa.array(part, pa.string()))
    return name


def parts(count: int) -> list[str]:
    return [["train", "train", "train", "valid", "test"][i % 5] for i in range(count)]


def clean(count: int = 30) -> list[tuple[int, int, str | None]]:
    """Edges i -> i + 1; i % 5 is 3 for validation, 4 for the test."""
    return [(i, (i + 1) % count, part) for i, part in enumerate(parts(count))]


def test_a_clean_graph_has_no_leak(tmp_path: Path) -> None:
    written(tmp_path, "links.parquet", clean())
    assert leaks(graph(tmp_path, ring(tmp_path), [link(split=SPLIT)])) == []
    assert json.loads((tmp_path / "out/graph-whole" / LEAKS).read_text()) == {"leaks": []}


def test_pairs_that_are_in_training_and_test(tmp_path: Path) -> None:
    again: list[tuple[int, int, str | None]] = [(3, 4, "train"), (3, 4, "train"), (9, 10, "train"), (9, 10, "test")]
    written(tmp_path, "links.parquet", clean() + again + [(4, 5, None)])
    (leak,) = leaks(graph(tmp_path, ring(tmp_path), [link(split=SPLIT)]))
    assert (leak.rule, leak.count, leak.looked_at, leak.total) == ("copied_edges", 2, 12, 12)
    assert leak.line() == (
        "leak: edges item:link:item: 2 of 12 pairs of validation and test edges are among the training edges too, e.g. "
        "'n3' -> 'n4', 'n9' -> 'n10'. Leave out repeated edges, or draw the split: a draw gives all edges of a pair "
        "one split"
    )


def test_a_draw_keeps_copies_together(tmp_path: Path) -> None:
    written(tmp_path, "links.parquet", clean() * 4)
    assert leaks(graph(tmp_path, ring(tmp_path), [link(split={"train": 0.5, "valid": 0.25, "test": 0.25})])) == []


def test_undirected_edges_that_are_stored_both_ways(tmp_path: Path) -> None:
    """All turned edges are for training, but for one, whose own direction is held out too."""
    turned: list[tuple[int, int, str | None]] = [(b, a, "train") for a, b, _ in clean()]
    turned[3] = (4, 3, "test")
    written(tmp_path, "links.parquet", clean() + turned)
    (leak,) = leaks(graph(tmp_path, ring(tmp_path), [link(split=SPLIT)]))
    # 12 pairs i -> i + 1 and one that is turned: that and its like are hidden both ways.
    assert (leak.rule, leak.count, leak.looked_at) == ("mirrored_edges", 11, 13)


def test_some_pairs_that_are_there_both_ways_are_none(tmp_path: Path) -> None:
    turned: list[tuple[int, int, str | None]] = [(b, a, "train") for a, b, _ in clean()[:20]]
    written(tmp_path, "links.parquet", clean() + turned)
    assert leaks(graph(tmp_path, ring(tmp_path), [link(split=SPLIT)])) == []


@pytest.mark.parametrize("turned", [False, True])
def test_another_relation_with_the_same_pairs(turned: bool, tmp_path: Path) -> None:
    """E.g. a reverse type that is a table of its own."""
    write(tmp_path / "users.parquet", id=[f"n{i}" for i in range(30)])
    nodes = ring(tmp_path) | {"user": {"files": "users.parquet", "id": "id"}}
    written(tmp_path, "buys.parquet", clean())
    other = [(b, a, None) if turned else (a, b, None) for a, b, _ in clean()]
    written(tmp_path, "bought.parquet", other)
    buys = {"source": "user", "relation": "buys", "target": "item", "files": "buys.parquet", "split": SPLIT}
    source, target = ("item", "user") if turned else ("user", "item")
    copy = {"source": source, "relation": "copy", "target": target, "files": "bought.parquet"}
    (leak,) = leaks(graph(tmp_path, nodes, [buys, copy]))
    assert (leak.rule, leak.count, leak.looked_at) == ("copied_relation", 12, 12)
    assert leak.what == (
        f"pairs of validation and test edges are also edges {source}:copy:{target}{' the other way round' * turned}, "
        "which pass messages in training"
    )


@pytest.mark.parametrize("together", [1, 1 << 20])
@pytest.mark.parametrize("few", [0, 8])
def test_many_relations_are_compared_at_once_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int, few: int
) -> None:
    """However many are held in memory, and however an edge type is read: against plain sets of pairs. Relations 1 and 4
    share pairs, relation 5 has those of 2 the other way round, and loops count both ways."""
    monkeypatch.setattr(pairs_module, "_TOGETHER", together)
    monkeypatch.setattr(relations_module, "_FEW", few)
    rng = np.random.default_rng(0)
    drawn = [{tuple(map(int, rng.integers(40, size=2))) for _ in range(30)} for _ in range(6)]
    drawn[4] |= set(sorted(drawn[1])[:20])
    drawn[5] |= {(b, a) for a, b in drawn[2]}
    drawn[3] |= {(7, 7)}
    edges = []
    for number, pairs in enumerate(drawn):
        split = [["train", "valid", "test"][i % 3] for i in range(len(pairs))]
        name = written(tmp_path, f"r{number}.parquet", [(*pair, part) for pair, part in zip(sorted(pairs), split)])
        edges.append({"source": "item", "relation": f"r{number}", "target": "item", "files": name, "split": SPLIT})
    config = graph(tmp_path, ring(tmp_path, 40), edges)
    build_graph(config)
    wanted = set()
    for one, pairs in enumerate(drawn):
        held_out = {pair for i, pair in enumerate(sorted(pairs)) if i % 3}
        for other, others in enumerate(drawn):
            least = max(0.1, 10.0 * len(others) / 40**2) * len(held_out)
            for turned in (False, True):
                count = len({pair[::-1] if turned else pair for pair in held_out} & others)
                if one != other and count > least:
                    wanted.add((f"item:r{one}:item", f"item:r{other}:item" + " the other way round" * turned, count))
    found = [leak for leak in find_leaks(str(config.path)) if leak.rule == "copied_relation"]
    told = {
        (leak.where.removeprefix("edges "), leak.what.split(" also edges ")[1].split(",")[0], leak.count)
        for leak in found
    }
    assert told == wanted
    assert {("item:r1:item", "item:r4:item"), ("item:r2:item", "item:r5:item the other way round")} <= {
        (one, other) for one, other, _ in wanted
    }
    assert [leak.where for leak in found] == sorted(leak.where for leak in found)


def test_another_relation_with_few_of_the_pairs_is_none(tmp_path: Path) -> None:
    written(tmp_path, "links.parquet", clean())
    written(tmp_path, "others.parquet", [(i, (i + 7) % 30, None) for i in range(30)] + clean()[3:4])
    other = {"source": "item", "relation": "other", "target": "item", "files": "others.parquet"}
    assert leaks(graph(tmp_path, ring(tmp_path), [link(split=SPLIT), other])) == []


def test_a_dense_relation_has_pairs_by_chance(tmp_path: Path) -> None:
    written(tmp_path, "links.parquet", clean())
    rng = np.random.default_rng(0)
    written(tmp_path, "others.parquet", [(*map(int, rng.integers(30, size=2)), None) for _ in range(400)])
    other = {"source": "item", "relation": "other", "target": "item", "files": "others.parquet"}
    assert leaks(graph(tmp_path, ring(tmp_path), [link(split=SPLIT), other])) == []


def labelled(folder: Path, stars: list[int], part: list[str], texts: list[str]) -> GraphConfig:
    """Edges n0 -> n1, as many as there are stars."""
    write(folder / "items.parquet", id=[f"n{i}" for i in range(4)])
    ends = {"source": ["n0"] * len(stars), "target": ["n1"] * len(stars)}
    write(folder / "links.parquet", **ends, stars=stars, part=part, words=texts)
    labels = {"stars": {"column": "stars", "split": SPLIT}}
    return graph(folder, {"item": item()}, [link(labels=labels, text={"words": {"columns": "words"}})])


def test_labelled_edges_that_are_equal_in_everything(tmp_path: Path) -> None:
    part = ["train", "test", "test", "valid"]
    (leak,) = leaks(labelled(tmp_path, [1, 1, 2, 1], part, ["a", "a", "a", "a"]))
    assert (leak.rule, leak.where) == ("copied_edge_rows", "edges item:link:item, label stars")
    assert (leak.count, leak.looked_at, leak.examples) == (2, 3, ("'n0' -> 'n1'",))


def test_labelled_edges_of_one_pair_that_differ_are_none(tmp_path: Path) -> None:
    assert leaks(labelled(tmp_path, [1, 2, 1], ["train", "test", "test"], ["a", "a", "b"])) == []


def nodes_with(folder: Path, texts: list[str | None], kinds: list[str], part: list[str]) -> GraphConfig:
    write(folder / "items.parquet", id=[f"n{i}" for i in range(len(texts))], words=texts, kind=kinds, part=part)
    labels = {"kind": {"column": "kind", "split": SPLIT}}
    return graph(folder, {"item": item(labels=labels, text={"words": {"columns": "words"}})})


def test_copies_of_a_text_in_training_and_test(tmp_path: Path) -> None:
    texts: list[str | None] = [LONG.format(i) for i in range(20)]
    texts[4], texts[9] = texts[0], texts[0]
    kinds = ["x"] * 9 + ["y"] * 11
    (leak,) = leaks(nodes_with(tmp_path, texts, kinds, parts(20)))
    # n4 is a copy of n0; n9 has another label.
    assert leak.line() == (
        "leak: nodes item, label kind: 1 of 8 validation and test nodes have a copy among the training nodes: equal "
        "texts and the same label, e.g. 'n4' = 'n0'. Leave out repeated nodes, or keep copies together: group_by a "
        "column that is the same for all of them"
    )


def test_short_and_missing_texts_are_no_copies(tmp_path: Path) -> None:
    texts: list[str | None] = ["short", None, "", "short"] * 5
    assert leaks(nodes_with(tmp_path, texts, ["x"] * 20, parts(20))) == []


@pytest.mark.parametrize(("values", "count"), [([*range(19), 0], 1), ([i % 2 for i in range(20)], 0)])
def test_nodes_without_text_are_copies_where_features_tell_nodes_apart(
    values: list[int], count: int, tmp_path: Path
) -> None:
    write(tmp_path / "items.parquet", id=list(range(20)), x=values, y=[1.5] * 20, part=parts(20))
    labels = {"y": {"column": "y", "kind": "number", "split": SPLIT}}
    found = leaks(graph(tmp_path, {"item": item(features={"x": "x"}, labels=labels)}))
    assert [(leak.rule, leak.count, leak.examples) for leak in found] == [("copied_nodes", 1, ("19 = 0",))] * count


def test_features_of_the_structure_tell_no_copies_apart(tmp_path: Path) -> None:
    """Node 19 is a copy of node 0 with more edges; where nodes have nothing but a degree, none is a copy."""
    write(tmp_path / "items.parquet", id=list(range(20)), x=[*range(19), 0], y=[1.5] * 20, part=parts(20))
    write(tmp_path / "links.parquet", source=list(range(20)) + [19] * 5, target=[(i + 1) % 20 for i in range(25)])
    labels = {"y": {"column": "y", "kind": "number", "split": SPLIT}}
    structure = {"degree": {"encode": "degree"}, "rank": {"encode": "page_rank"}}
    for features, count in [({"x": "x", **structure}, 1), (structure, 0)]:
        config = graph(tmp_path, {"item": item(features=features, labels=labels)}, [link()])
        found = [leak.examples for leak in leaks(config) if leak.rule == "copied_nodes"]
        assert found == [("19 = 0",)] * count


def test_training_rows_that_are_later_than_test_rows(tmp_path: Path) -> None:
    """Of 20 rows in order of time the second label has every fifth for the test."""
    write(tmp_path / "items.parquet", id=list(range(20)), y=list(range(20)), day=list(range(20)), part=parts(20))
    in_time = {"column": "day", "valid_from": 10, "test_from": 15}
    labels = {
        "a": {"column": "y", "kind": "number", "split": in_time},
        "b": {"column": "y", "kind": "number", "split": SPLIT},
    }
    (leak,) = leaks(graph(tmp_path, {"item": item(labels=labels)}))
    assert (leak.rule, leak.where, leak.count, leak.looked_at) == ("later_training", "nodes item, label b", 6, 12)
    labels["b"]["split"] = {**in_time, "valid_from": 12}
    assert leaks(graph(tmp_path, {"item": item(labels=labels)})) == []


def test_groups_that_only_one_split_keeps_together(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=list(range(20)), y=list(range(20)), who=[i // 4 for i in range(20)])
    drawn = {"train": 0.5, "valid": 0.25, "test": 0.25}
    labels: dict[str, Any] = {
        "a": {"column": "y", "kind": "number", "split": {**drawn, "group_by": "who"}},
        "b": {"column": "y", "kind": "number", "split": drawn},
    }
    (leak,) = leaks(graph(tmp_path, {"item": item(labels=labels)}))
    assert (leak.rule, leak.where) == ("split_groups", "nodes item, label b")
    assert "label a keeps rows of one 'who' together, this split does not" in leak.line()
    labels["b"]["split"] = labels["a"]["split"]
    assert leaks(graph(tmp_path, {"item": item(labels=labels)})) == []


def test_a_sample_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "MAX_PAIRS", 4)
    written(tmp_path, "links.parquet", clean() + [(a, b, "train") for a, b, part in clean() if part != "train"])
    config = graph(tmp_path, ring(tmp_path), [link(split=SPLIT)])
    build_graph(config)
    (leak,) = find_leaks(str(config.path))
    assert (leak.count, leak.looked_at, leak.total) == (4, 4, 12)
    assert "4 of 4 (a sample of 12) pairs" in leak.line()


def leaking(folder: Path) -> GraphConfig:
    written(folder, "links.parquet", [*clean(), (3, 4, "train")])
    return graph(folder, ring(folder), [link(split=SPLIT)])


def test_a_leak_may_be_an_error(tmp_path: Path) -> None:
    strict = leaking(tmp_path).model_copy(update={"on_leak": "error"})
    with pytest.raises(DataError) as caught:
        build_graph(strict)
    message = str(caught.value).splitlines()
    assert message[0] == (
        "graph.on_leak: splits must not give validation and test rows away (got 1 finding). Correct the tables or "
        "splits, or set graph.on_leak: warn"
    )
    assert message[1].startswith("leak: edges item:link:item: 1 of 12 pairs")
    assert not (tmp_path / "out/graph").exists()


@pytest.mark.parametrize("earlier", ["warn", "ignore"])
def test_an_error_also_for_a_graph_that_is_up_to_date(earlier: str, tmp_path: Path) -> None:
    config = leaking(tmp_path)
    build_graph(config.model_copy(update={"on_leak": earlier}))
    assert (read_leaks(tmp_path / "out/graph") is None) == (earlier == "ignore")
    before = (tmp_path / "out/graph/graph.json").stat().st_mtime_ns
    with pytest.raises(DataError, match="got 1 finding"):
        build_graph(config.model_copy(update={"on_leak": "error"}))
    said: list[str] = []
    build_graph(config, progress=said.append)
    assert said == [f"{tmp_path}/out/graph is up to date"]
    assert (tmp_path / "out/graph/graph.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["class", "number"])
def test_inputs_that_tell_the_label_alone(tmp_path: Path, kind: str) -> None:
    """A code of the label, or its multiple, is named; an honest input, an id in every row and few rows are not."""
    rng = np.random.default_rng(0)
    for count, findings in ((2_000, 1), (200, 0)):
        label = rng.integers(4, size=count) if kind == "class" else rng.lognormal(size=count)
        copy = (label * 7 + 1) % 30 if kind == "class" else label * 3
        columns = {"copy": copy, "honest": label + rng.normal(size=count), "serial": rng.permutation(count)}
        pq.write_table(pa.table({"id": np.arange(count), "label": label, **columns}), tmp_path / f"{count}.parquet")
        split = {"train": 0.8, "valid": 0.1, "test": 0.1}
        labels = {"label": {"column": "label", "kind": kind, "split": split}}
        node = {"files": f"{count}.parquet", "id": "id", "features": {n: n for n in columns}, "labels": labels}
        settings = {"base": str(tmp_path), "path": str(tmp_path / f"g{count}"), "nodes": {"row": node}}
        config = GraphConfig.model_validate(settings)
        build_graph(config)
        found = [leak for leak in find_leaks(tmp_path / f"g{count}") if leak.rule == "telling_input"]
        assert len(found) == findings
        assert all("'copy'" in leak.what for leak in found)
