"""Honest simple models on the Debian package graph: what an LM+GNN has to beat, on the same splits.

    python benchmarks/debian_baselines.py

nc_section: linear SVMs over bags of words, name pieces, neighbours and maintainer; accuracy and macro-F1.
lp_recommends, lp_suggests: nearest neighbours over texts and a weighted sum of simple scores; filtered ranking of the
true tail against ALL packages. Hyperparameters and weights are chosen on valid, the test split is scored once.
Needs scikit-learn (extra `bench`), 4 GB and, on one core, about 4 minutes for all three.
Out: tables on the terminal, and with --json a file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

try:
    import scipy.sparse as sp
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import normalize
    from sklearn.svm import LinearSVC
except ImportError as error:
    raise SystemExit(
        "debian_baselines.py: scikit-learn must be installed. Install it with: pip install 'graphstorm-like[bench]'"
    ) from error

DEBIAN = Path(__file__).parents[1] / "training_scripts" / "debian_packages"
SPLITS = ("train", "valid", "test")
PACKAGE_RELATIONS = ("depends", "pre_depends", "recommends", "suggests", "enhances", "breaks", "replaces", "conflicts")
PENALTIES = (0.1, 0.3, 1.0)  # of the SVM, its C
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 2.0)
NEIGHBOURS = 50
TUNING_EDGES = 1500  # valid edges whose scores are held in memory while weights are chosen: 2.4 GB
HEADS_PER_BATCH = 256


@dataclass(frozen=True)
class Tables:
    """Columns of package.parquet as lists, and row numbers of packages by name."""

    folder: Path
    package: dict[str, list[Any]]
    row_of: dict[str, int]

    @property
    def count(self) -> int:
        return len(self.row_of)

    def edges(self, table: str) -> tuple[list[str], list[str]]:
        columns = pq.read_table(self.folder / f"{table}.parquet", columns=["source", "target"]).to_pydict()
        return columns["source"], columns["target"]

    def adjacency(self, table: str) -> sp.csr_matrix:
        """Heads x tails of a relation between packages, ones where there is an edge."""
        heads, tails = self.edges(table)
        return _ones([self.row_of[head] for head in heads], [self.row_of[tail] for tail in tails], self.count)

    def one_hot(self, table: str) -> sp.csr_matrix:
        """Packages x targets of another node type."""
        heads, targets = self.edges(table)
        column_of = {target: column for column, target in enumerate(dict.fromkeys(targets))}
        rows = [self.row_of[head] for head in heads]
        return _ones(rows, [column_of[target] for target in targets], self.count, len(column_of))


def read_tables(folder: Path) -> Tables:
    if not (folder / "package.parquet").is_file():
        raise SystemExit(f"--tables: must hold package.parquet (got '{folder}'). Run build_tables.py first")
    package = pq.read_table(folder / "package.parquet").to_pydict()
    return Tables(folder, package, {name: row for row, name in enumerate(package["name"])})


def _ones(
    rows: Sequence[int] | np.ndarray, columns: Sequence[int] | np.ndarray, height: int, width: int | None = None
) -> sp.csr_matrix:
    values = np.ones(len(rows), np.float32)
    return sp.csr_matrix((values, (rows, columns)), shape=(height, width or height))


# ----------------------------------------------------------------------------------------------- section classification


def section_baselines(tables: Tables) -> list[dict[str, Any]]:
    """One row a model: name, accuracy and macro-F1 on test, the C that was best on valid."""
    labels = np.array([label or "" for label in tables.package["section_label"]])
    split = np.array([name or "" for name in tables.package["section_split"]])
    rows = {name: np.flatnonzero(split == name) for name in SPLITS}
    names, counts = np.unique(labels[rows["train"]], return_counts=True)
    majority = np.full(len(rows["test"]), names[counts.argmax()])
    results = [{"model": "majority", **_section_scores(labels[rows["test"]], majority), "c": None}]
    print_row("nc_section", results[-1])
    for model, features in _section_features(tables, rows["train"]):
        results.append({"model": model, **_fit_section(features, labels, rows)})
        print_row("nc_section", results[-1])
    return results


def _section_features(tables: Tables, train: np.ndarray) -> Iterator[tuple[str, sp.csr_matrix]]:
    package = tables.package
    short = _tfidf(package["short"], train, ngram_range=(1, 2))
    yield "TF-IDF(short)", short
    text = _tfidf(_texts(tables), train, ngram_range=(1, 2))
    yield "TF-IDF(text)", text
    pieces = _tfidf(package["name"], train, analyzer="char_wb", ngram_range=(2, 5))
    neighbours = _neighbours(tables, train)
    maintainer = _seen_in(tables.one_hot("maintained_by"), train)
    yield "graph: neighbours + maintainer", sp.hstack([neighbours, maintainer]).tocsr()
    yield "text + neighbours", sp.hstack([text, neighbours]).tocsr()
    yield "text + name + neighbours + maintainer", sp.hstack([text, pieces, neighbours, maintainer]).tocsr()


def _texts(tables: Tables) -> list[str]:
    return [f"{short}\n{long}" for short, long in zip(tables.package["short"], tables.package["long"], strict=True)]


def _tfidf(texts: list[str], fit_on: np.ndarray | None = None, **options: Any) -> sp.csr_matrix:
    """Packages x terms, rows of length 1; terms and document frequencies come from the rows `fit_on` only."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=3, dtype=np.float32, **options)
    vectorizer.fit(texts if fit_on is None else [texts[row] for row in fit_on])
    return vectorizer.transform(texts)


def _neighbours(tables: Tables, train: np.ndarray) -> sp.csr_matrix:
    """One-hot neighbours in every relation and direction, rarer neighbours counting more, rows of length 1."""
    blocks = []
    for table in PACKAGE_RELATIONS:
        adjacency = tables.adjacency(table)
        blocks += [adjacency, adjacency.T]
    blocks.append(tables.one_hot("depends_virtual"))
    one_hot = _seen_in(sp.hstack(blocks).tocsr(), train)
    frequency = np.diff(one_hot[train].tocsc().indptr) + 1
    return normalize(one_hot @ sp.diags((np.log(len(train) / frequency) + 1).astype(np.float32)))


def _seen_in(features: sp.csr_matrix, train: np.ndarray) -> sp.csr_matrix:
    """Leaves out columns that fewer than two training packages have: nothing can be learnt from them."""
    return features.tocsc()[:, np.diff(features[train].tocsc().indptr) >= 2].tocsr()


def _fit_section(features: sp.csr_matrix, labels: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, Any]:
    best: tuple[float, float, LinearSVC] | None = None
    for penalty in PENALTIES:
        model = LinearSVC(C=penalty, random_state=0).fit(features[rows["train"]], labels[rows["train"]])
        accuracy = float((model.predict(features[rows["valid"]]) == labels[rows["valid"]]).mean())
        if best is None or accuracy > best[0]:
            best = (accuracy, penalty, model)
    assert best is not None
    return {**_section_scores(labels[rows["test"]], best[2].predict(features[rows["test"]])), "c": best[1]}


def _section_scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float((truth == predicted).mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
    }


# ------------------------------------------------------------------------------------------------------ link prediction

Scores = dict[str, np.ndarray]  # component -> [heads of a batch, all packages], each row scaled to a maximum of 1


class LinkScorer:
    """Scores all packages as tails of given heads, from training edges of `relation` and the other relations."""

    def __init__(self, tables: Tables, relation: str) -> None:
        columns = pq.read_table(tables.folder / f"{relation}.parquet").to_pydict()
        self.heads = np.array([tables.row_of[name] for name in columns["source"]])
        self.tails = np.array([tables.row_of[name] for name in columns["target"]])
        self.split = np.array([name or "" for name in columns["split"]])
        source = np.array(tables.package["source"], dtype=object)
        self.evaluated = source[self.heads] != source[self.tails]
        self.known = _ones(self.heads, self.tails, tables.count)
        train = self.split == "train"
        self.train = _ones(self.heads[train], self.tails[train], tables.count)
        self.teachers = np.flatnonzero(np.diff(self.train.indptr))  # heads with a training edge

        popularity = np.log1p(np.asarray(self.train.sum(axis=0)).ravel())
        self.popularity = (popularity / popularity.max()).astype(np.float32)
        named = [f"{name} {text}" for name, text in zip(tables.package["name"], _texts(tables), strict=True)]
        self.views = {
            "name + text": _tfidf(named),
            "name": _tfidf(tables.package["name"], analyzer="char_wb", ngram_range=(2, 5)),
            "depends": _rare_neighbours(tables.adjacency("depends")),
        }
        # What already points at the head in another relation, e.g. a plug-in that depends on it or enhances it.
        others = [
            table for table in ("depends", "pre_depends", "enhances", "suggests", "recommends") if table != relation
        ]
        self.pointing_back = sum(tables.adjacency(table) for table in others).T.tocsr()

    def edges_of(self, split: str) -> np.ndarray:
        return np.flatnonzero((self.split == split) & self.evaluated)

    def __call__(self, heads: np.ndarray) -> Scores:
        scores = {f"kNN({view})": self._vote(features, heads) for view, features in self.views.items()}
        for view in ("name + text", "name"):
            scores[f"cosine({view})"] = (self.views[view][heads] @ self.views[view].T).toarray()
        scores["points back"] = self.pointing_back[heads].toarray()
        for array in scores.values():
            array /= np.maximum(array.max(axis=1, keepdims=True), 1e-9)
        scores["popularity"] = np.broadcast_to(self.popularity, (len(heads), len(self.popularity)))
        return scores

    def _vote(self, features: sp.csr_matrix, heads: np.ndarray) -> np.ndarray:
        """Each of the nearest heads with training edges votes for its tails with its squared cosine."""
        cosine = (features[heads] @ features[self.teachers].T).toarray()
        cosine[heads[:, None] == self.teachers[None, :]] = 0  # a head's own training tails are not ranked
        nearest = np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        votes = np.take_along_axis(cosine, nearest, axis=1) ** 2
        rows = np.repeat(np.arange(len(heads)), NEIGHBOURS)
        chosen = sp.csr_matrix((votes.ravel(), (rows, nearest.ravel())), shape=cosine.shape)
        votes_for_tails: np.ndarray = (chosen @ self.train[self.teachers]).toarray()
        return votes_for_tails

    def ranks(self, scores: np.ndarray, row_of_edge: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """Filtered rank of each edge's tail: neither the head nor its other known tails compete."""
        ranks = np.empty(len(edges))
        for i, (row, edge) in enumerate(zip(row_of_edge, edges, strict=True)):
            head = self.heads[edge]
            known_tails = self.known.indices[self.known.indptr[head] : self.known.indptr[head + 1]]
            ranks[i] = filtered_rank(scores[row], self.tails[edge], np.append(known_tails, head))
        return ranks


def filtered_rank(line: np.ndarray, tail: int, left_out: np.ndarray) -> float:
    """1-based rank of `tail` in a line of scores without the entries `left_out`; ties count half."""
    left_out = left_out[left_out != tail]
    above = (line > line[tail]).sum() - (line[left_out] > line[tail]).sum()
    ties = (line == line[tail]).sum() - 1 - (line[left_out] == line[tail]).sum()
    return float(1 + above + ties / 2)


def _rare_neighbours(adjacency: sp.csr_matrix) -> sp.csr_matrix:
    idf = np.log(adjacency.shape[0] / (1 + np.asarray(adjacency.sum(axis=0)).ravel()))
    return normalize(adjacency @ sp.diags(idf.astype(np.float32)))


def weighted(scores: Scores, weights: dict[str, float]) -> np.ndarray:
    total = np.zeros_like(scores["popularity"])
    for name, weight in weights.items():
        if weight:
            total += np.float32(weight) * scores[name]
    return total


def choose_weights(scorer: LinkScorer) -> dict[str, float]:
    """Coordinate ascent of the valid MRR over `WEIGHTS`, two rounds, from kNN over text with popularity for ties."""
    edges = np.random.default_rng(0).permutation(scorer.edges_of("valid"))[:TUNING_EDGES]
    heads, row_of_edge = np.unique(scorer.heads[edges], return_inverse=True)
    scores = scorer(heads)
    weights = dict.fromkeys(scores, 0.0) | {"kNN(name + text)": 1.0, "popularity": 0.01}
    total = weighted(scores, weights)
    best = _mrr(scorer.ranks(total, row_of_edge, edges))
    for _ in range(2):
        for name in weights:
            for weight in WEIGHTS:
                tried = total + np.float32(weight - weights[name]) * scores[name]
                value = _mrr(scorer.ranks(tried, row_of_edge, edges))
                if value > best + 1e-4:
                    best, total, weights[name] = value, tried, weight
    return weights


def link_baselines(tables: Tables, relation: str) -> list[dict[str, Any]]:
    """One row a model: MRR and hits on the test edges between different sources."""
    scorer = LinkScorer(tables, relation)
    models = {
        "popularity": {"popularity": 1.0},
        "kNN(name + text)": {"kNN(name + text)": 1.0, "popularity": 0.001},  # popularity breaks ties only
        "combination": choose_weights(scorer),
    }
    edges = scorer.edges_of("test")
    heads = np.unique(scorer.heads[edges])
    ranks: dict[str, list[np.ndarray]] = {model: [] for model in models}
    for start in range(0, len(heads), HEADS_PER_BATCH):
        batch = heads[start : start + HEADS_PER_BATCH]
        mine = edges[np.isin(scorer.heads[edges], batch)]
        scores = scorer(batch)
        for model, weights in models.items():
            row_of_edge = np.searchsorted(batch, scorer.heads[mine])
            ranks[model].append(scorer.ranks(weighted(scores, weights), row_of_edge, mine))
    results = []
    for model, weights in models.items():
        rank = np.concatenate(ranks[model])
        row = {
            "model": model,
            "mrr": _mrr(rank),
            "hits_1": float((rank <= 1).mean()),
            "hits_10": float((rank <= 10).mean()),
        }
        results.append({**row, "weights": weights})
        print_row(f"lp_{relation}", row)
    print(f"  weights chosen on valid: { {name: weight for name, weight in weights.items() if weight} }")
    return results


def _mrr(ranks: np.ndarray) -> float:
    return float((1 / ranks).mean())


# ---------------------------------------------------------------------------------------------------------- the command

TASKS: dict[str, Callable[[Tables], list[dict[str, Any]]]] = {
    "nc_section": section_baselines,
    "lp_recommends": lambda tables: link_baselines(tables, "recommends"),
    "lp_suggests": lambda tables: link_baselines(tables, "suggests"),
}


def print_row(task: str, row: dict[str, Any]) -> None:
    values = "  ".join(f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float) and name != "c")
    chosen = f"  (C {row['c']})" if row.get("c") else ""
    print(f"{task:<14} {row['model']:<38} {values}{chosen}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Simple models on the Debian package graph.")
    parser.add_argument("--tables", type=Path, default=DEBIAN / "tables", help="what build_tables.py wrote")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["nc_section", "lp_recommends"])
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    options = parser.parse_args(arguments)
    tables = read_tables(options.tables)
    results = {}
    for task in options.tasks:
        start = time.perf_counter()
        results[task] = TASKS[task](tables)
        print(f"  {task}: {time.perf_counter() - start:.0f} s", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
