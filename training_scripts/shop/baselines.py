"""Simple models of the shop, on the splits of its graph folders: what the language model and graph network must beat.

Classes: accuracy and macro-F1 on the test products. Links: filtered rank of the clicked product among all products,
ties count half. What can be chosen (strength of regularisation) is chosen on validation; test is scored once.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from graphstorm_like.graph.local import LocalGraph

BUCKETS = 4096
"""Columns of the bag of words: words and pairs of words are hashed into them."""
PENALTIES = (1e-4, 1e-3, 1e-2)
"""L2 strengths that the linear model is tried with."""
CLICKS = ("query", "clicks", "product")
BUYS = ("user", "buys", "product")
SPLITS = ("train", "valid", "test")
Scores = dict[str, float]
Array = npt.NDArray[np.float32]


def class_baselines(folder: Path) -> dict[str, Scores]:
    """Test scores by the model's name. folder: the graph folder of classes.yaml."""
    graph = LocalGraph(folder)
    labels = graph.label("product", "category")
    rows = {split: graph.label_rows("product", "category", split) for split in SPLITS}
    words = bag_of_words(graph.text("product", "title").to_pylist(), rows["train"])
    votes = neighbour_votes(graph, labels, rows["train"])
    most_frequent = np.bincount(labels[rows["train"]]).argmax()
    truth = labels[rows["test"]]
    return {
        "majority class": class_scores(truth, np.full(len(truth), most_frequent)),
        "classes of co-bought and co-clicked": class_scores(truth, votes[rows["test"]].argmax(1)),
        "bag of words, linear": class_scores(truth, linear(words, labels, rows)),
        "words and neighbours, linear": class_scores(truth, linear(np.hstack([words, votes]), labels, rows)),
    }


def link_baselines(folder: Path) -> dict[str, Scores]:
    """Test scores by the model's name. folder: the graph folder of links.yaml."""
    graph = LocalGraph(folder)
    queries, products = (graph.manifest.nodes[name].count for name in ("query", "product"))
    sources, targets = graph.edges(CLICKS)
    train = graph.edge_rows(CLICKS, "train")
    clicked = np.zeros((queries, products), np.float32)
    clicked[sources[train], targets[train]] = 1
    together = clicked.T @ clicked + co_occurrence(graph, BUYS)
    np.fill_diagonal(together, 0)
    titles, searches = graph.text("product", "title").to_pylist(), graph.text("query", "words").to_pylist()
    words = bag_of_words([*titles, *searches], np.arange(products))
    models = {
        "popularity": np.broadcast_to(clicked.sum(0), clicked.shape),
        "text cosine, bag of words": words[products:] @ words[:products].T,
        "common neighbours": clicked @ together,
    }
    test = graph.edge_rows(CLICKS, "test")
    return {name: link_scores(scores, sources, targets, test) for name, scores in models.items()}


def bag_of_words(texts: list[str], fit_on: npt.NDArray[np.int64]) -> Array:
    """TF-IDF rows [texts, BUCKETS] of length 1; document frequencies are those of the texts `fit_on`."""
    counts = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in enumerate(texts):
        words = re.findall(r"\w+", text.lower())
        pairs = [f"{first} {second}" for first, second in itertools.pairwise(words)]
        for term in words + pairs:
            counts[row, zlib.crc32(term.encode()) % BUCKETS] = 1
    frequency = (counts[fit_on] > 0).sum(0)
    weighted = counts * np.log(len(fit_on) / (1 + frequency)).clip(0).astype(np.float32)
    return weighted / np.linalg.norm(weighted, axis=1, keepdims=True).clip(1e-9)


def co_occurrence(graph: LocalGraph, edge_type: tuple[str, str, str]) -> Array:
    """[products, products]: how many source nodes have edges to both."""
    sources, targets = graph.edges(edge_type)
    incidence = np.zeros((graph.manifest.nodes[edge_type[0]].count, graph.manifest.nodes["product"].count), np.float32)
    incidence[sources, targets] = 1
    return incidence.T @ incidence


def neighbour_votes(graph: LocalGraph, labels: npt.NDArray[np.int32], train: npt.NDArray[np.int64]) -> Array:
    """[products, classes]: shares of the classes of training products that the same users bought or queries led to."""
    together = co_occurrence(graph, BUYS) + co_occurrence(graph, CLICKS)
    np.fill_diagonal(together, 0)  # a product's own class is no vote
    one_hot = np.eye(labels.max() + 1, dtype=np.float32)
    votes = together[:, train] @ one_hot[labels[train]]
    return votes / votes.sum(1, keepdims=True).clip(1e-9)


def linear(features: Array, labels: npt.NDArray[np.int32], rows: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray:
    """Classes of the test rows by logistic regression; the penalty that is best on validation."""
    best, predicted = -1.0, np.zeros(0)
    for penalty in PENALTIES:
        predict = fit(features[rows["train"]], labels[rows["train"]], penalty)
        accuracy = (predict(features[rows["valid"]]) == labels[rows["valid"]]).mean()
        if accuracy > best:
            best, predicted = accuracy, predict(features[rows["test"]])
    return predicted


def fit(features: Array, labels: npt.NDArray[np.int32], penalty: float) -> Callable[[Array], npt.NDArray]:
    """Logistic regression by L-BFGS; a function from features to classes."""
    inputs, truth = torch.from_numpy(features), torch.from_numpy(labels).long()
    weight = torch.zeros(inputs.shape[1], int(truth.max()) + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(inputs @ weight, truth) + penalty * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return lambda rows: (torch.from_numpy(rows) @ weight).argmax(1).numpy()


def class_scores(truth: npt.NDArray, predicted: npt.NDArray) -> Scores:
    """accuracy and macro_f1."""
    f1 = []
    for label in np.unique(np.concatenate([truth, predicted])):
        hits = ((truth == label) & (predicted == label)).sum()
        f1.append(2 * hits / ((truth == label).sum() + (predicted == label).sum()))
    return {"accuracy": float((truth == predicted).mean()), "macro_f1": float(np.mean(f1))}


def link_scores(scores: Array, sources: npt.NDArray, targets: npt.NDArray, test: npt.NDArray) -> Scores:
    """mrr and hits@10 of the test edges; other true targets of a source do not compete."""
    ranks = np.empty(len(test))
    for position, edge in enumerate(test):
        line = scores[sources[edge]].copy()
        true = line[targets[edge]]
        line[targets[sources == sources[edge]]] = -np.inf
        ranks[position] = 1 + (line > true).sum() + (line == true).sum() / 2
    return {"mrr": float((1 / ranks).mean()), "hits@10": float((ranks <= 10).mean())}
