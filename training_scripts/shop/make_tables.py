"""The tables of a small made-up shop, the same ones every time: users, products, queries; purchases, reviews, clicks.

    python training_scripts/shop/make_tables.py          # writes training_scripts/shop/tables, which are in git

Each product belongs to a topic of a category. Text and graph each tell a part of it: a third of the titles name nothing
of the topic, others mention a foreign thing too, while users buy from a few topics but a fourth of the time anything.
People search in words that often mean what titles say and seldom repeat them; some searches say nothing at all.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from vocabulary import (
    ADJECTIVES,
    BLAME,
    BRANDS,
    COLOURS,
    COUNTRIES,
    PRAISE,
    TOPICS,
    VAGUE_QUERIES,
    VAGUE_TITLES,
)

PRODUCTS, USERS, QUERIES = 1_600, 600, 900
PURCHASES, REVIEWS, CLICKS = 7_000, 900, 5_000
FAVOURITES = 3
"""Topics that a user buys from."""
VAGUE, FOREIGN = 0.35, 0.25
"""Titles that say nothing of the topic, and titles that mention a thing of another one."""
ANYTHING = 0.25
"""Purchases and clicks outside the topics that a user or a search is about."""


class Draw:
    """Seeded draws. Only `random()` is used: Python promises that its stream stays the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def number(self, below: int) -> int:
        """0 .. below-1."""
        return int(self._random.random() * below)

    def word(self, words: str | Sequence[str]) -> str:
        """One of the words: of a list, or of a text that commas divide."""
        choices = words.split(", ") if isinstance(words, str) else words
        return choices[self.number(len(choices))]

    def popular(self, count: int) -> int:
        """0 .. count-1, low numbers much more often."""
        return int(self._random.random() ** 2.5 * count)


class Shop:
    """Topics, and which products are of each, the popular ones first."""

    def __init__(self, seed: int = 0) -> None:
        self.draw = Draw(seed)
        self.topics = [(category, topic) for category, topics in TOPICS.items() for topic in topics]
        self.topic_of = [self.draw.number(len(self.topics)) for _ in range(PRODUCTS)]
        self.products_of: list[list[int]] = [[] for _ in self.topics]
        for product, topic in enumerate(self.topic_of):
            self.products_of[topic].append(product)

    def words(self, topic: int, searched: bool) -> str:
        """What titles (or searches) call the things of a topic."""
        category, name = self.topics[topic]
        return TOPICS[category][name][int(searched)]

    def products(self) -> pa.Table:
        """sku, title, price, brand, category."""
        rows = [self.product(number) for number in range(PRODUCTS)]
        return pa.Table.from_pylist(rows)

    def product(self, number: int) -> dict[str, object]:
        """One row of products."""
        draw, topic = self.draw, self.topic_of[number]
        thing = draw.word(VAGUE_TITLES) if draw.chance(VAGUE) else draw.word(self.words(topic, searched=False))
        title = f"{draw.word(ADJECTIVES)} {thing}, {draw.word(COLOURS)}"
        if draw.chance(FOREIGN):
            title += f", goes with {draw.word(self.words(draw.number(len(self.topics)), searched=False))}"
        category = self.topics[topic][0]
        brands = BRANDS.split(", ")
        home = 2 * list(TOPICS).index(category)  # each category has two brands of its own
        brand = brands[home + draw.number(2)] if draw.chance(0.4) else draw.word(brands)
        price = round(5 + 20 * (1 + topic % 4) * (0.5 + draw.number(100) / 100), 2)
        return {"sku": sku(number), "title": title, "price": price, "brand": brand, "category": category}

    def users(self) -> pa.Table:
        """user_id, age, country; nothing of them says what they buy."""
        rows = [
            {"user_id": 1000 + user, "age": 18 + self.draw.number(60), "country": self.draw.word(COUNTRIES)}
            for user in range(USERS)
        ]
        return pa.Table.from_pylist(rows)

    def queries(self, topics: Sequence[int]) -> pa.Table:
        """query_id, words: what is meant, or nothing of it; then perhaps what it should be like."""
        rows = []
        for number, topic in enumerate(topics):
            vague = self.draw.chance(VAGUE)
            words = self.draw.word(VAGUE_QUERIES if vague else self.words(topic, searched=True))
            if self.draw.chance(0.5):
                words += f" {self.draw.word(ADJECTIVES)}"
            rows.append({"query_id": f"q{number:04d}", "words": words})
        return pa.Table.from_pylist(rows)

    def pairs(self, topics: Sequence[Sequence[int]], count: int) -> list[tuple[int, int]]:
        """Distinct (row, product): the product is of one of the row's topics, or any; popular ones more often."""
        found: dict[tuple[int, int], None] = {}
        while len(found) < count:
            row = self.draw.number(len(topics))
            if self.draw.chance(ANYTHING):
                product = self.draw.popular(PRODUCTS)
            else:
                own = topics[row]
                products = self.products_of[own[self.draw.number(len(own))]]
                product = products[self.draw.popular(len(products))]
            found[row, product] = None
        return list(found)

    def reviews(self, purchases: Sequence[tuple[int, int]]) -> pa.Table:
        """user_id, sku, review; some name the thing."""
        rows = []
        for _ in range(REVIEWS):
            user, product = purchases[self.draw.number(len(purchases))]
            review = self.draw.word(PRAISE if self.draw.chance(0.7) else BLAME)
            if self.draw.chance(0.5):
                review += f", bought it for {self.draw.word(self.words(self.topic_of[product], searched=True))}"
            rows.append({"user_id": 1000 + user, "sku": sku(product), "review": review})
        return pa.Table.from_pylist(rows)


def sku(product: int) -> str:
    """The shop's id of a product."""
    return f"P-{product:04d}"


def make_tables(seed: int = 0) -> dict[str, pa.Table]:
    """All tables, by file name."""
    shop = Shop(seed)
    products, users = shop.products(), shop.users()
    favourites = [[shop.draw.number(len(shop.topics)) for _ in range(FAVOURITES)] for _ in range(USERS)]
    purchases = shop.pairs(favourites, PURCHASES)
    searched = [shop.draw.number(len(shop.topics)) for _ in range(QUERIES)]
    queries = shop.queries(searched)
    clicks = shop.pairs([[topic] for topic in searched], CLICKS)
    bought = {"user_id": [1000 + user for user, _ in purchases], "sku": [sku(product) for _, product in purchases]}
    clicked = {"query_id": [f"q{query:04d}" for query, _ in clicks], "sku": [sku(product) for _, product in clicks]}
    return {
        "users.csv": users,
        "products.parquet": products,
        "queries.csv": queries,
        "purchases.parquet": pa.table(bought),
        "reviews.csv": shop.reviews(purchases),
        "clicks.parquet": pa.table(clicked),
    }


def write_tables(folder: Path, tables: dict[str, pa.Table]) -> None:
    """Parquet or CSV, as the names end."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if name.endswith(".csv"):
            pa.csv.write_csv(table, folder / name)
        else:
            pa.parquet.write_table(table, folder / name, compression="zstd")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the tables of the made-up shop.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "tables", help="folder of the tables")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_tables(options.output, make_tables(options.seed))


if __name__ == "__main__":
    main()
