"""Tables of a made-up library, shared by the recipes: papers, authors, citations, reviews, reading lists, reads.

    python training_scripts/papers/make_library.py          # a second; into training_scripts/papers/tables

Each paper has a hidden topic of a field. Its title tells it in 55 % of all cases; whom it cites, who wrote it and where
it appeared tell it for most. All labels follow from these with noise, so that neither texts nor edges are enough alone.
Ids of papers, lists and readers are integers with gaps, those of authors and venues are strings.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

FIELDS = {
    "astronomy": ("comet, meteor, crater", "galaxy, nebula, quasar", "star, supernova, pulsar", "planet, moon, orbit"),
    "medicine": ("tumour, biopsy, drug", "artery, pulse, stroke", "vaccine, virus, germ", "neuron, cortex, seizure"),
    "economics": ("inflation, currency, bank", "wage, job, union", "tariff, export, customs", "auction, bidder, price"),
    "botany": ("root, soil, fungus", "leaf, chlorophyll, light", "seed, pollen, flower", "oak, forest, timber"),
    "music": ("violin, quartet, bow", "choir, soprano, hymn", "rhythm, drum, dance", "piano, sonata, chord"),
    "geology": ("quake, fault, tremor", "volcano, lava, magma", "glacier, ice, moraine", "fossil, sediment, chalk"),
}
"""Fields, their topics, and the words of each topic."""
METHODS = {
    "experiment": "measured, sampled, observed, tested",
    "theory": "a model of, bounds for, a proof about, reasoning on",
}
VAGUE = "a new question, some old problems, what remains open, a puzzling case, recent findings, a second look"
FIRST_DAY = datetime.date(2024, 1, 1)


class Library:
    """Hidden facts, then a method for each table; every table has draws of its own."""

    def __init__(self, papers: int = 2_000, seed: int = 0) -> None:
        self.seed, self.papers, self.authors, self.venues = seed, papers, max(12, papers // 4), 36
        rng = self.draws(0)
        words = [(field, topic.split(", ")) for field, topics in FIELDS.items() for topic in topics]
        self.fields, self.words = np.array([field for field, _ in words]), [topic for _, topic in words]
        self.paper_id = 10_007 + 3 * rng.permutation(papers)
        self.year = rng.integers(2004, 2024, size=papers)
        self.topic = rng.integers(len(words), size=papers)
        self.author_topic = np.arange(self.authors) % len(words)
        self.author_method = rng.integers(2, size=self.authors)
        self.h_index = rng.gamma(2.0, 6.0, size=self.authors).astype(int)
        self.popularity = rng.permutation(1.0 / np.arange(1, papers + 1) ** 0.6)
        own = rng.random(papers) < 0.5  # venues 0, 6, 12 ... are of the first field, and so on
        of_field = self.topic // 4 + 6 * rng.integers(6, size=papers)
        self.venue = np.where(own, of_field, rng.integers(self.venues, size=papers))
        self.wrote = [self._authors_of(rng, topic) for topic in self.topic]
        habit = self.author_method[[team[0] for team in self.wrote]]
        self.method = np.where(rng.random(papers) < 0.9, habit, 1 - habit)
        self.cites = np.array([pair for paper in range(papers) for pair in self._cited_by(rng, paper)])

    def draws(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number])

    def field(self, papers: Any) -> Any:
        return self.fields[self.topic[papers]]

    def near(
        self, rng: np.random.Generator, topic: int, topic_share: float, field_share: float, last: int = 3000
    ) -> int:
        """A paper up to a year, popular ones more often: of the topic, of the field, or any."""
        chance = rng.random()
        right = self.year <= last
        if chance < topic_share:
            right &= self.topic == topic
        elif chance < topic_share + field_share:
            right &= self.topic // 4 == topic // 4
        weights = np.where(right, self.popularity, 0.0)
        weights = weights if weights.any() else self.popularity
        return int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum()))

    def _authors_of(self, rng: np.random.Generator, topic: int) -> list[int]:
        own = np.flatnonzero(self.author_topic == topic)
        pool = own if len(own) and rng.random() < 0.7 else np.arange(self.authors)
        return rng.permutation(pool)[: rng.integers(1, 4)].tolist()

    def _cited_by(self, rng: np.random.Generator, paper: int) -> list[tuple[int, int]]:
        cited = {self.near(rng, self.topic[paper], 0.45, 0.15, self.year[paper]) for _ in range(rng.poisson(5))}
        return [(paper, other) for other in sorted(cited - {paper})]

    # ---------------------------------------------------------------------------------------------------- tables

    def paper_table(self) -> pa.Table:
        """A row a paper: what is known of it, and what recipes predict."""
        rng = self.draws(1)
        used = [{str(self.field(paper))} for paper in range(self.papers)]
        for citing, cited in self.cites:
            used[cited].add(str(self.field(citing)))
        venue_effect, field_effect = rng.normal(0, 0.5, self.venues), rng.normal(0, 0.4, len(FIELDS))
        fame = np.array([np.log1p(self.h_index[team]).mean() for team in self.wrote])
        readers = (
            0.6 * fame + venue_effect[self.venue] + field_effect[self.topic // 4] + rng.normal(0, 0.3, self.papers)
        )
        # A language model was asked "is it an experiment?": right on the mean, but more generous in some venues.
        generous = rng.normal(0, 0.25, self.venues)[self.venue]
        score = 0.35 + 0.3 * (self.method == 0) + generous + rng.normal(0, 0.08, self.papers)
        columns = {
            "paper_id": self.paper_id,
            "title": [self._title(rng, paper) for paper in range(self.papers)],
            "year": self.year,
            "pages": rng.integers(4, 40, size=self.papers),
            "venue": [f"venue {venue}" for venue in self.venue],
            "field": self.field(np.arange(self.papers)),
            "used_in": [sorted(fields) for fields in used],
            "log_readers": readers.astype(np.float32),
            "method": np.array(list(METHODS))[self.method],
            "says_experiment": score.clip(0, 1).astype(np.float32),
        }
        return pa.table(columns)

    def _title(self, rng: np.random.Generator, paper: int) -> str:
        told = rng.random() < 0.55
        of = self.words[self.topic[paper]] if told else VAGUE.split(", ")
        thing = " and ".join(rng.permutation(of)[: 2 if told else 1])
        foreign = (
            f", with a remark on {rng.choice(self.words[rng.integers(len(self.words))])}" if rng.random() < 0.2 else ""
        )
        way = rng.choice(METHODS[list(METHODS)[self.method[paper]]].split(", "))
        if rng.random() < 0.5:
            way = "notes on"
        return (f"{thing}, {way}" if way.endswith("ed") else f"{way} {thing}") + foreign

    def author_table(self) -> pa.Table:
        return pa.table({"author_id": [f"A-{i:04d}" for i in range(self.authors)], "h_index": self.h_index})

    def wrote_table(self) -> pa.Table:
        pairs = [(f"A-{author:04d}", self.paper_id[paper]) for paper, team in enumerate(self.wrote) for author in team]
        return pa.table({"author_id": [author for author, _ in pairs], "paper_id": [paper for _, paper in pairs]})

    def cites_table(self) -> pa.Table:
        """Citations with what they are for: of another field, of a rival, or as background."""
        rng, (citing, cited) = self.draws(2), self.cites.T
        close = (self.topic[citing] == self.topic[cited]) & (self.year[citing] - self.year[cited] <= 5)
        intent = np.where(self.field(citing) != self.field(cited), "method", np.where(close, "dispute", "background"))
        other = rng.choice(["method", "dispute", "background"], size=len(intent))
        intent = np.where(rng.random(len(intent)) < 0.1, other, intent)
        return pa.table({"citing": self.paper_id[citing], "cited": self.paper_id[cited], "intent": intent})

    def review_table(self) -> pa.Table:
        """Stars: reviewers are strict or mild, and like papers of their own field."""
        rng, count = self.draws(3), 2 * self.papers
        reviewer = rng.integers(self.authors, size=count)
        paper = np.array([self.near(rng, self.author_topic[r], 0.4, 0.2) for r in reviewer])
        same = self.author_topic[reviewer] // 4 == self.topic[paper] // 4
        stars = 2.2 + 1.6 * same + rng.normal(0, 0.4, self.authors)[reviewer] + rng.normal(0, 0.4, count)
        names = [f"A-{r:04d}" for r in reviewer]
        return pa.table({"author_id": names, "paper_id": self.paper_id[paper], "stars": stars.clip(1, 5).round(1)})

    def list_tables(self) -> tuple[pa.Table, pa.Table]:
        """Reading lists of a theme, and the papers in them: a half is of its field, the others of any."""
        rng, count = self.draws(4), max(60, self.papers // 3)
        themes, rows = rng.integers(len(FIELDS), size=count), []
        for place, theme in enumerate(themes):
            papers = {self.near(rng, 4 * theme, 0.0, 0.4) for _ in range(rng.integers(6, 13))}
            rows += [(500 + 7 * place, self.paper_id[paper]) for paper in sorted(papers)]
        lists = {"list_id": 500 + 7 * np.arange(count), "theme": np.array(list(FIELDS))[themes]}
        return pa.table(lists), pa.table({"list_id": [a for a, _ in rows], "paper_id": [b for _, b in rows]})

    def reads_table(self) -> pa.Table:
        """Who read what on which day: readers stay with a topic for some weeks, then go on to another."""
        rng, rows = self.draws(5), []
        for reader in range(max(20, self.papers // 8)):
            topic = rng.integers(len(self.words))
            for day in np.sort(rng.integers(365, size=24)):
                if rng.random() < 0.15:
                    topic = rng.integers(len(self.words))
                paper = self.near(rng, topic, 0.9, 0.0)
                rows.append((900 + reader, self.paper_id[paper], FIRST_DAY + datetime.timedelta(days=int(day))))
        readers, papers, days = zip(*rows, strict=True)
        return pa.table({"reader_id": readers, "paper_id": papers, "day": days})


def make_tables(folder: Path, papers: int = 2_000, seed: int = 0) -> None:
    """Write all tables into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    library = Library(papers, seed)
    lists, contents = library.list_tables()
    for name, table in {"papers": library.paper_table(), "cites": library.cites_table(), "lists": lists,
                        "list_papers": contents, "reads": library.reads_table()}.items():  # fmt: skip
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
    for name, table in {
        "authors": library.author_table(),
        "wrote": library.wrote_table(),
        "reviews": library.review_table(),
    }.items():
        pyarrow.csv.write_csv(table, folder / f"{name}.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate the tables that the recipes share.")
    parser.add_argument("--papers", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tables")
    options = parser.parse_args()
    make_tables(options.out, options.papers, options.seed)
    print(f"{options.out}: {options.papers:,} papers and what is around them")


if __name__ == "__main__":
    main()
