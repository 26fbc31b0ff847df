"""TF-IDF of Debian's texts: what construction takes; how fast a model learns from it, by how its first layer begins.

    python benchmarks/bench_words.py training_scripts/debian_packages/tables
    python benchmarks/bench_words.py training_scripts/debian_packages/tables --learn --vectors FOLDER/vectors.npy

The model has no graph: projections of all inputs, norm, ReLU, dropout, a linear head; sections are told on validation.
--vectors: text vectors of the packages in the order of the table, which are an input beside words.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import Clock, peak_rss_mb, table
from torch import Tensor, nn

from gconstruct.features import apply_fitted, fit_feature, fitted_feature
from gconstruct.problems import Problems
from gconstruct.transforms.words import RowsOfTerms
from gconstruct.values import Source
from graphstorm_like.config.features.words import WordsFeature
from graphstorm_like.graph.schema import FeatureSchema
from graphstorm_like.graph.sparse import SparseRows, rows_of
from graphstorm_like.models.inputs import InputProjection, NodeInput, NodeInputSpec
from graphstorm_like.sampling.steps import as_tensors

FEATURES: dict[str, dict[str, Any]] = {
    "short and long": {"columns": ["short", "long"]},
    "single words": {"columns": ["short", "long"], "ngrams": [1, 1]},
    "names": {"column": "name", "of": "characters"},
}
LEARNT_FROM = ("short and long", "names")
BEGINNINGS = ("divided by the magnitude", "undivided", "undivided, weights as large as dense outputs need")
HIDDEN, BATCH = 128, 1024


class _Rows:
    def place(self, row: int) -> tuple[str, int]:
        return "package.parquet", row + 1

    def label(self) -> str:
        return "package.parquet"


def encode(packages: pa.Table, name: str) -> tuple[list[str], pa.Array, FeatureSchema]:
    """(a line of the table, the column as it is stored, its schema) of one of FEATURES."""
    config = WordsFeature(encode="words", **FEATURES[name])
    problems = Problems()
    columns = [pa.array(packages[column].to_pylist(), pa.large_string()) for column in config.column_names()]
    sources = [Source(name, values, _Rows(), "words", problems) for values in columns]
    source = replace(sources[0], others=tuple(sources[1:]))
    clock = Clock()
    statistics: RowsOfTerms | None = fit_feature(config, source)
    schema = fitted_feature(config, statistics, source)
    fit, clock = clock.cpu, Clock()
    assert statistics is not None, problems.messages
    assert schema is not None, problems.messages
    stored = apply_fitted(schema, source)
    assert isinstance(stored, pa.Array)
    terms, entries = sum(len(counted) for counted in statistics.tables), len(stored.flatten())
    line = [name, f"{sum(values.nbytes for values in columns) / 1e6:.1f}", f"{terms:,}", f"{schema.width:,}"]
    line += [f"{entries / len(stored):.0f}", f"{stored.nbytes / 1e6:.1f}", f"{fit:.1f}", f"{clock.cpu:.1f}"]
    return [*line, f"{peak_rss_mb():,.0f}"], stored, schema


class Model(nn.Module):
    """Inputs by name -> scores of classes."""

    def __init__(self, spec: NodeInputSpec, classes: int) -> None:
        super().__init__()
        self.inputs, self.head = NodeInput(spec, HIDDEN, 0.2), nn.Linear(HIDDEN, classes)

    def forward(self, ids: Tensor, rows: dict[str, Any]) -> Tensor:
        """[N, classes]"""
        scores: Tensor = self.head(self.inputs(ids, rows))
        return scores


def model_of(begin: str, words: dict[str, FeatureSchema], vectors: np.ndarray | None, classes: int) -> Model:
    """A new one. begin: one of BEGINNINGS"""
    widths, moments = {name: schema.width for name, schema in words.items()}, {}
    for name, schema in words.items():
        magnitude = WordsFeature.magnitude(schema.fitted) if begin == BEGINNINGS[0] else 1.0
        moments[name] = np.zeros(schema.width), np.full(schema.width, magnitude)
    if vectors is not None:
        widths["text"], moments["text"] = vectors.shape[1], (vectors.mean(axis=0), vectors.std(axis=0))
    torch.manual_seed(0)
    model = Model(NodeInputSpec(widths, False, moments, sparse=list(words)), classes)
    if begin == BEGINNINGS[2]:
        for name, projection in zip(model.inputs.names, model.inputs.projections, strict=True):
            if name in words:
                assert isinstance(projection, InputProjection)
                projection.weight.data.mul_(widths[name] ** 0.5)
    return model


def accuracies(
    model: Model, inputs: Any, labels: np.ndarray, parts: dict[str, np.ndarray], epochs: int
) -> Iterator[str]:
    """Of validation, after each epoch."""
    rng, targets = np.random.default_rng(0), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        model.train()
        for ids in np.array_split(rng.permutation(parts["train"]), -(-len(parts["train"]) // BATCH)):
            loss = nn.functional.cross_entropy(model(torch.from_numpy(ids), inputs(ids)), targets[ids])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        with torch.no_grad():
            found = model(torch.from_numpy(parts["valid"]), inputs(parts["valid"])).argmax(dim=1).numpy()
        yield f"{np.mean(found == labels[parts['valid']]):.3f}"


def learn(packages: pa.Table, words: dict[str, Any], path: Path | None, epochs: int) -> None:
    """Print validation accuracy by epoch, of every beginning."""
    vectors = None if path is None else np.load(path).astype(np.float32)
    encoded = packages["section_label"].combine_chunks().dictionary_encode()
    labels = encoded.indices.fill_null(0).to_numpy().astype(np.int64)
    split = np.array(packages["section_split"].to_pylist())
    parts = {name: np.flatnonzero(split == name) for name in ("train", "valid")}

    def inputs(ids: np.ndarray) -> dict[str, Tensor | SparseRows[Tensor]]:
        rows = {name: as_tensors(rows_of(column.take(pa.array(ids)), of.width)) for name, (column, of) in words.items()}
        return rows if vectors is None else {**rows, "text": torch.from_numpy(vectors[ids])}

    lines = []
    for begin in BEGINNINGS:
        schemas = {name: schema for name, (_, schema) in words.items()}
        model = model_of(begin, schemas, vectors, len(encoded.dictionary))
        lines.append([begin, *accuracies(model, inputs, labels, parts, epochs)])
    print("\n".join(table(["entries", *(f"epoch {epoch + 1}" for epoch in range(epochs))], lines)))


def main() -> None:
    """Print one table, or with --learn two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="the folder of package.parquet")
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    packages = pq.read_table(options.tables / "package.parquet")
    head = [
        "texts",
        "MB",
        "different terms",
        "kept",
        "entries a row",
        "stored MB",
        "fit CPU s",
        "apply CPU s",
        "peak MB",
    ]
    lines, words = [], {}
    for name in FEATURES:
        line, column, schema = encode(packages, name)
        lines.append(line)
        if name in LEARNT_FROM:
            words[name] = column, schema
    print("\n".join(table(head, lines)))
    if options.learn:
        learn(packages, words, options.vectors, options.epochs)


if __name__ == "__main__":
    main()
