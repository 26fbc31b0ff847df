"""Negatives with texts like the source's: cosine of TF-IDF rows over the words of all texts of both ends.

    weight(word, text) = (1 + log count) * (log((1 + texts) / (1 + texts with the word)) + 1), rows of length 1

Words in more than `most_texts` texts are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.negatives import MinedTextConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, NodeType
from graphstorm_like.sampling.negatives.base import NEGATIVES
from graphstorm_like.sampling.negatives.mined import MinedNegatives
from graphstorm_like.sampling.negatives.paths import Table
from graphstorm_like.sampling.negatives.two_steps import TwoSteps
from graphstorm_like.sampling.true_targets import TrueTargets

WORD = re.compile(r"\w\w+")


@NEGATIVES.register(MinedTextConfig)
class MinedByText(MinedNegatives):
    """See module. DataError when an end of a relation has no text."""

    def __init__(self, config: MinedTextConfig, graph: Graph, true_targets: Mapping[EdgeType, TrueTargets]) -> None:
        super().__init__(config, graph, true_targets)
        for edge_type in true_targets:
            for node_type in (edge_type[0], edge_type[2]):
                if not graph.manifest.node(node_type).text:
                    raise DataError(
                        f"{graph.folder}: nodes of type {node_type} must have a text to mine negatives of "
                        f"{edge_name(edge_type)} by (got none). Add graph.nodes.{node_type}.text, or choose another "
                        f"task.negatives.type"
                    )

        def scores(edge_type: EdgeType) -> TwoSteps:
            ends = list(dict.fromkeys((edge_type[0], edge_type[2])))
            words = word_table([text for end in ends for text in node_texts(graph, end)], config.most_texts)
            return cosines(words, self.num_targets[edge_type])

        self.mine_once(graph, scores)


def node_texts(graph: Graph, node_type: NodeType) -> list[str]:
    """All texts of each node of a type, joined; missing ones are empty."""
    columns = [graph.text(node_type, name).to_pylist() for name in graph.manifest.node(node_type).text]
    return [" ".join(text or "" for text in row) for row in zip(*columns, strict=True)]


def word_table(texts: list[str], most_texts: int) -> Table:
    """[texts, words] of TF-IDF weights."""
    numbers: dict[str, int] = {}
    rows, words, counts = [], [], []
    for row, text in enumerate(texts):
        for word, count in Counter(WORD.findall(text.lower())).items():
            rows.append(row)
            words.append(numbers.setdefault(word, len(numbers)))
            counts.append(count)
    of_row, of_word = np.array(rows, dtype=np.int64), np.array(words, dtype=np.int64)
    frequency = np.bincount(of_word, minlength=len(numbers))[of_word]
    weight = (1.0 + np.log(np.array(counts, dtype=np.float64))) * (np.log((1 + len(texts)) / (1 + frequency)) + 1)
    lengths = np.sqrt(np.bincount(of_row, weights=weight**2, minlength=len(texts)))
    weight /= np.maximum(lengths[of_row], 1e-12)
    keep = frequency <= most_texts
    return Table.of(of_row[keep], of_word[keep], weight[keep], len(texts))


def cosines(words: Table, num_targets: int) -> TwoSteps:
    """Scores of the last `num_targets` texts for the first ones."""
    first = len(words.starts) - 1 - num_targets
    rows = np.repeat(np.arange(len(words.starts) - 1), np.diff(words.starts))
    of_targets = rows >= first
    count = int(words.columns.max(initial=-1)) + 1
    texts = Table.of(words.columns[of_targets], rows[of_targets] - first, words.weights[of_targets], count)
    return TwoSteps(words, texts, 0, slice(0, num_targets))
