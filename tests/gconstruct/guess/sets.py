"""Sets of tables that have little in common: citations, events with ids of their own, a table of rows alone."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

TOPICS = ("graphs", "vision", "speech", "robots")
WORDS = {
    "graphs": "node edge message passing neighbour degree relation",
    "vision": "image pixel camera detection colour scene depth",
    "speech": "audio voice phoneme microphone sound accent noise",
    "robots": "arm gripper motion planning torque sensor joint",
}


def write_csv(folder: Path, file: str, **columns: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pacsv.write_csv(pa.table(columns), folder / f"{file}.csv")


def write_citations(folder: Path, papers: int = 300, authors: int = 120, seed: int = 0) -> None:
    """papers (title, abstract, year, venue), authors, who writes what, what cites what. All ids are whole numbers, and
    those of authors are among those of papers."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(4, size=papers)
    ids = np.arange(1, papers + 1) * 3

    def sentence(kind: int, length: int) -> str:
        own, other = WORDS[TOPICS[kind]].split(), WORDS[TOPICS[int(rng.integers(4))]].split()
        return " ".join(str(rng.choice(own if rng.random() < 0.7 else other)) for _ in range(length))

    titles = [f"On {sentence(kind, 4)} {i}" for i, kind in enumerate(topic)]
    abstracts = [sentence(kind, 25) for kind in topic]
    venues = [f"Conf on {TOPICS[kind]}" for kind in topic]
    write_csv(
        folder,
        "papers",
        paper_id=ids,
        title=titles,
        abstract=abstracts,
        year=rng.integers(1990, 2026, papers),
        venue=venues,
    )
    write_csv(
        folder, "authors", id=np.arange(1, authors + 1), name=[f"A. Person {i}" for i in range(authors)],
        h_index=rng.integers(0, 60, authors),
    )  # fmt: skip
    writer = rng.integers(1, authors + 1, papers * 2)
    write_csv(folder, "writes", author_id=writer, paper_id=np.concatenate([ids, ids]))
    same = [int(rng.choice(np.flatnonzero(topic == kind))) for kind in np.repeat(topic, 4)]
    write_csv(folder, "cites", citing=np.repeat(ids, 4), cited=ids[same])


def write_events(folder: Path, seed: int = 0) -> None:
    """Customers, goods, and orders with ids, dates and amounts; some goods that were ordered are not in their table."""
    rng, count = np.random.default_rng(seed), 400
    folder.mkdir(parents=True, exist_ok=True)
    customers = [f"C{i:03d}" for i in range(60)]
    goods = [f"g-{i}" for i in range(40)]
    pq.write_table(
        pa.table({"customer_id": customers, "city": rng.choice(["Ulm", "Bonn", "Kiel"], 60)}),
        folder / "customers.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "code": goods,
                "weight": rng.lognormal(1, 2, 40),
                "tags": ["|".join(rng.choice(list("abc"), 2)) for _ in goods],
            }
        ),
        folder / "goods.parquet",
    )
    days = [date(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 500, count)]
    ordered = [str(rng.choice(goods)) for _ in range(count - 1)] + ["g-lost"]
    orders = {
        "order_id": np.arange(10_000, 10_000 + count), "customer_id": rng.choice(customers, count), "good": ordered,
        "day": days, "amount": rng.integers(1, 2000, count) / 100,
    }  # fmt: skip
    pq.write_table(pa.table(orders), folder / "orders.parquet")
