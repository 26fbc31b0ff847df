"""Small foreign data sets, each with the decisions that a person would make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphstorm_like.config import edge_name
from tests.gconstruct.guess.test_pipeline import guessed

Rng = np.random.Generator
WORDS = [
    "red",
    "blue",
    "warm",
    "shoe",
    "coat",
    "lamp",
    "desk",
    "chair",
    "steel",
    "oak",
    "child",
    "running",
    "cotton",
    "garden",
    "kitchen",
]


def phrase(rng: Rng, length: int) -> str:
    """Some words."""
    return " ".join(rng.choice(WORDS, length))


def indexed(folder: Path, rng: Rng) -> None:
    """Frames with indexes of their own: of Parquet __index_level_0__, of CSV without a name, by reset_index level_0."""
    users = pd.DataFrame({"user_id": np.arange(60) + 7, "age": rng.integers(18, 80, 60)})
    users.sample(frac=1.0, random_state=0).to_parquet(folder / "users.parquet")
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(40)], "price": rng.random(40), "level_0": range(40)})
    items.to_csv(folder / "items.csv")
    buys = pd.DataFrame({"user_id": rng.integers(7, 67, 300), "item_id": [f"i{i}" for i in rng.integers(0, 40, 300)]})
    buys.sample(frac=1.0, random_state=1).to_parquet(folder / "buys.parquet")


def index_alone(folder: Path, rng: Rng) -> None:
    """A table whose only name of a row is its index."""
    kind = rng.integers(2, size=80)
    pd.DataFrame({"x": kind + rng.normal(size=80), "label": kind}).to_csv(folder / "rows.csv")


def ratings(folder: Path, rng: Rng) -> None:
    """Whole stars; ids of users and movies overlap, and users have no table."""
    movies = {"movie_id": range(1, 51), "genres": ["a|b", "b", "a|c", "c", "a"] * 10}
    pd.DataFrame(movies).to_csv(folder / "movies.csv", index=False)
    rows = {"user_id": rng.integers(1, 61, 600), "movie_id": rng.integers(1, 51, 600)}
    more = {"rating": rng.integers(1, 6, 600), "timestamp": rng.integers(10**9, 10**9 + 10**6, 600)}
    pd.DataFrame(rows | more).to_csv(folder / "ratings.csv", index=False)


def half_stars(folder: Path, rng: Rng) -> None:
    """Steps of a half."""
    ratings(folder, rng)
    table = pd.read_csv(folder / "ratings.csv")
    table.assign(rating=table.rating / 2).to_csv(folder / "ratings.csv", index=False)


def ten_points(folder: Path, rng: Rng) -> None:
    """A node's score of 0 to 10."""
    score = rng.integers(0, 11, 200)
    pd.DataFrame({"id": range(200), "x": score + rng.normal(size=200), "score": score}).to_parquet(
        folder / "essays.parquet"
    )


def relevance(folder: Path, rng: Rng) -> None:
    """Queries stand in the table of grades, and nowhere else."""
    products = {"product_id": [f"B{i:03d}" for i in range(60)], "title": [phrase(rng, 6) for _ in range(60)]}
    pd.DataFrame(products).to_parquet(folder / "products.parquet")
    queries = list(dict.fromkeys(f"{phrase(rng, 2)} {i}" for i in range(50)))
    rows = {"query": rng.choice(queries, 500), "product_id": [f"B{i:03d}" for i in rng.integers(0, 60, 500)]}
    pd.DataFrame(rows | {"relevance": rng.integers(0, 4, 500)}).to_parquet(folder / "judgements.parquet")


def clicks(folder: Path, rng: Rng) -> None:
    """Queries without grades."""
    relevance(folder, rng)
    pd.read_parquet(folder / "judgements.parquet").drop(columns="relevance").to_parquet(folder / "judgements.parquet")


def two_labels(folder: Path, rng: Rng) -> None:
    """A label of 60 rows, and one of 400."""
    shops = {"shop_id": [f"s{i}" for i in range(60)], "category": rng.choice(list("ab"), 60)}
    pd.DataFrame(shops).to_csv(folder / "shops.csv", index=False)
    goods = {"good_id": [f"g{i}" for i in range(400)], "type": rng.choice(list("xyz"), 400)}
    more = {"shop_id": [f"s{i}" for i in rng.integers(0, 60, 400)]}
    pd.DataFrame(goods | more).to_csv(folder / "goods.csv", index=False)


def relations(folder: Path, rng: Rng) -> None:
    """A table a relation, each with a split."""
    genes = [f"gene{i}" for i in range(50)]
    pd.DataFrame({"gene_id": genes, "length": rng.random(50)}).to_csv(folder / "genes.csv", index=False)
    for number, name in enumerate(("binds", "inhibits", "activates")):
        count = 120 + 40 * number
        rows = {"source": rng.choice(genes, count), "target": rng.choice(genes, count)}
        rows["split"] = rng.choice(["train", "valid", "test"], count, p=[0.8, 0.1, 0.1])
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


def flags(folder: Path, rng: Rng) -> None:
    """A boolean label."""
    churn = rng.random(120) < 0.4
    pd.DataFrame({"id": range(120), "spent": churn + rng.random(120), "churn": churn}).to_csv(
        folder / "customers.csv", index=False
    )


def tiny(folder: Path, rng: Rng) -> None:
    """20 rows."""
    pd.DataFrame({"id": range(20), "x": rng.random(20), "class": ["a", "b"] * 10}).to_csv(
        folder / "rows.csv", index=False
    )


def wide(folder: Path, rng: Rng) -> None:
    """300 columns."""
    columns = {f"c{i}": rng.random(100) for i in range(300)}
    pd.DataFrame({"id": range(100), **columns, "target": rng.random(100)}).to_parquet(folder / "rows.parquet")


def papers(folder: Path, rng: Rng) -> None:
    """Abstracts, citations, and a topic with a split."""
    split = rng.choice(["train", "val", "test"], 90)
    texts = [phrase(rng, 20) for _ in range(90)]
    table = {"paper_id": range(90), "abstract": texts, "topic": rng.integers(0, 5, 90), "split": split}
    pd.DataFrame(table).to_parquet(folder / "papers.parquet")
    cites = {"src": rng.integers(0, 90, 400), "dst": rng.integers(0, 90, 400)}
    pd.DataFrame(cites).to_csv(folder / "cites.csv", index=False)


def codes(folder: Path, rng: Rng) -> None:
    """The label again, as a code and as a text of its own, beside an id in every row."""
    kind = rng.integers(0, 4, 300)
    table = {"id": range(300), "serial": rng.permutation(300) * 13, "y": [f"k{k}" for k in kind], "code": kind * 7}
    pd.DataFrame(table | {"name": [f"kind number {k}" for k in kind], "x": rng.random(300)}).to_parquet(
        folder / "rows.parquet"
    )


def other_unit(folder: Path, rng: Rng) -> None:
    """A number to predict, and the same in another unit."""
    price = rng.lognormal(size=300)
    table = {"id": range(300), "target": price, "in_cents": price * 100, "size": price + rng.normal(size=300)}
    pd.DataFrame(table).to_parquet(folder / "flats.parquet")


CASES: list[tuple[Callable[[Path, Rng], None], dict[str, Any]]] = [
    (indexed, {"task": "link_prediction", "nodes": {"user", "item"}, "edges": {"user:buys:item"}, "read": "price age"}),
    (index_alone, {"task": "node_classification", "id": "", "read": "x"}),
    (ratings, {"task": "edge_regression", "nodes": {"user", "movie"}, "edges": {"user:ratings:movie"}}),
    (half_stars, {"task": "edge_regression", "nodes": {"user", "movie"}}),
    (ten_points, {"task": "node_regression", "read": "x"}),
    (relevance, {"task": "edge_regression", "nodes": {"query", "product"}, "texts": {"query": ["query"]}}),
    (clicks, {"task": "link_prediction", "nodes": {"query", "product"}, "texts": {"query": ["query"]}}),
    (two_labels, {"task": "node_classification", "label": "type", "says": "shop.category"}),
    (relations, {"task": "link_prediction", "edge_types": "all", "says": "and 2 more"}),
    (flags, {"task": "node_classification", "label": "churn", "read": "spent"}),
    (tiny, {"task": "node_classification", "label": "class", "read": "x"}),
    (wide, {"task": "node_regression", "label": "target"}),
    (papers, {"task": "node_classification", "label": "topic", "texts": {"paper": ["abstract"]}}),
    (codes, {"task": "node_classification", "label": "y", "read": "serial x", "says": "code is left out"}),
    (other_unit, {"task": "node_regression", "label": "target", "read": "size", "says": "in_cents is left out"}),
]


@pytest.mark.parametrize(("write", "facts"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_foreign_tables(tmp_path: Path, write: Callable[[Path, Rng], None], facts: dict[str, Any]) -> None:
    folder = tmp_path / "shop" / "d" / "tables"
    folder.mkdir(parents=True)
    write(folder, np.random.default_rng(0))
    guess, pipeline = guessed(folder)
    nodes, edges, task = pipeline.graph.nodes, pipeline.graph.edges, pipeline.task.model_dump()
    text = f"{guess.text}\n{guess.decisions}"
    inputs = {name for table in [*nodes.values(), *edges] for name in table.features}
    known = {
        "task": task["type"],
        "nodes": set(nodes),
        "edges": {edge_name(edge.edge_type) for edge in edges},
        "label": task.get("label"),
        "edge_types": task.get("edge_types"),
        "id": next(iter(nodes.values())).id,
        "texts": {name: node.text[t].columns for name, node in nodes.items() for t in node.text if name != "product"},
        "read": inputs,
    }
    for key, expected in facts.items():
        if key == "says":
            assert expected in "\n".join(guess.decisions)
        elif key == "read":
            assert known["read"] == set(expected.split())
        else:
            assert known[key] == expected, f"{key}\n{text}"
    assert pipeline.name == "shop"
