"""The texts that are most like a text, by words: cosines of TF-IDF rows, as `mined_text` has them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.negatives.best import BLOCK, Dense, Pairs
from graphstorm_like.sampling.negatives.paths import Table
from graphstorm_like.sampling.negatives.two_steps import TwoSteps

Floats = npt.NDArray[np.float32]


class NearestTexts:
    """words: TF-IDF [texts, words]; among: texts that are sought, ascending; k: how many. A text is never one of its
    own nearest. Each text's are sought when it is first asked about, and then known."""

    def __init__(self, words: Table, among: IntArray, k: int) -> None:
        self._among, self._k = among, k
        count, most = len(words.starts) - 1, int(words.columns.max(initial=-1)) + 1
        row, word, weight = words.steps(np.arange(len(among)), among, np.ones(len(among)))
        self._paths = TwoSteps(words, Table.of(word, row, weight, most), 0, slice(0, len(among)))
        self._is_known = np.zeros(count, dtype=np.bool_)
        self._texts = np.full((count, k), -1, dtype=np.int32)
        self._cosines = np.zeros((count, k), dtype=np.float32)

    def __call__(self, texts: IntArray) -> tuple[IntArray, Floats]:
        """Texts [n] -> places [n, k] in `among` of the nearest of each, and their cosines; -1: there are no more."""
        new = np.unique(texts[~self._is_known[texts]])
        for block in self._blocks(new if len(self._among) else new[:0]):
            self._seek(block)
        self._is_known[new] = True
        return self._texts[texts].astype(np.int64), self._cosines[texts]

    def _blocks(self, texts: IntArray) -> Iterator[IntArray]:
        most = max(1, BLOCK // max(len(self._among), 1))
        for block in self._paths.blocks(texts):
            yield from (block[start : start + most] for start in range(0, len(block), most))

    def _seek(self, texts: IntArray) -> None:
        count = len(self._among)
        row, word, weight = self._paths.first.steps(np.arange(len(texts)), texts, np.ones(len(texts)))
        row, end, mass = self._paths.second.steps(row, word, weight)
        cosines = np.bincount(row * count + end, weights=mass, minlength=len(texts) * count)
        place = np.minimum(np.searchsorted(self._among, texts), count - 1)
        itself = np.flatnonzero(self._among[place] == texts)
        scores = Dense(cosines.astype(np.float32).reshape(len(texts), count))
        best = scores.wrong(Pairs(itself, place[itself]), None, min(self._k, count), positive=True)
        at = np.arange(len(best.rows)) - np.searchsorted(best.rows, best.rows, side="left")
        self._texts[texts[best.rows], at] = best.targets
        self._cosines[texts[best.rows], at] = best.scores
