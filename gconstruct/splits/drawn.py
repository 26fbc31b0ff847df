"""What random splits and folds share: a hash of the id and a seed puts each row into one of several buckets.

Without `stratify` a row's hash alone decides. With it the rows of each class are ordered by their hashes, and the
bounds between buckets lie at ranks: each bucket gets its share of each class, exact to one row. That needs the hashes
of all labelled rows: 8 bytes a row until the bounds are known.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.hashing import hash_strings, uniform
from gconstruct.splits.base import Split, SplitRows, State
from graphstorm_like.config.splits import FoldsSplit, RandomSplit

Config = TypeVar("Config", bound=RandomSplit | FoldsSplit)
ClassHashes = dict[str, tuple[np.ndarray, ...]]
"""By class: hashes of its rows, uint64, in any order."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Hashes of n rows, and their classes where the draw is stratified."""

    hashes: np.ndarray
    """uint64 (n)"""
    names: list[str]
    codes: np.ndarray
    """int (n): position in `names`, -1: without a class; empty when the draw is not stratified"""


class DrawnSplit(Split[Config, Draws, ClassHashes]):
    """Base of the operators of random splits and folds.

    State of a stratified draw: bounds, by class ascending hashes; bucket i ends below the i-th. Those that no row
    reaches are left out.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.needs_fit = self.keeps_state = self.checks = config.stratify

    @abstractmethod
    def ends(self) -> np.ndarray:
        """float64 (buckets), ascending: where each bucket ends, of 1."""

    @abstractmethod
    def splits(self) -> np.ndarray:
        """uint8 (buckets + 1): the split of each bucket, and of what lies behind the last."""

    def columns(self) -> list[tuple[str, str, str]]:
        """See Split."""
        group_by = self.config.group_by
        return [] if group_by is None else [(group_by, "group", "group_by")]

    def read(self, rows: SplitRows) -> Draws:
        """Each row without a group is a group of its own: otherwise all of them would get the same split."""
        ids, no_codes = rows.ids(), np.empty(0, np.int64)
        if self.config.group_by is not None:
            columns = (rows.table.column(self.config.group_by), ids)
            ids = pc.coalesce(*(pc.cast(column, pa.large_string()) for column in columns))
        hashes = hash_strings(ids, self.config.seed)
        if not self.config.stratify:
            return Draws(hashes, [], no_codes)
        assert rows.classes is not None, "the configuration refuses stratify without a class label"
        encoded = rows.classes().dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        return Draws(hashes, encoded.dictionary.to_pylist(), codes)

    def fit(self, values: Draws) -> ClassHashes:
        """The hashes of each class."""
        return {values.names[code]: (values.hashes[rows],) for code, rows in _by_class(values.codes)}

    def merge(self, first: ClassHashes, second: ClassHashes) -> ClassHashes:
        """Those of both."""
        merged = dict(first)
        for name, hashes in second.items():
            merged[name] = (*first.get(name, ()), *hashes)
        return merged

    def state(self, statistics: ClassHashes, rows: SplitRows) -> State:
        """What shares leave of a row is rounded by a draw of the class: of many small classes each bucket gets its
        share, too."""
        bounds: dict[str, list[int]] = {}
        for name, pieces in statistics.items():
            hashes = np.sort(np.concatenate(pieces))
            rounding = uniform(pa.array([name]), self.config.seed)[0]
            ranks = np.floor(len(hashes) * self.ends() + rounding + 1e-9).astype(np.int64)
            bounds[name] = hashes[ranks[ranks < len(hashes)]].tolist()
        return {"bounds": bounds}

    def apply(self, values: Draws, state: State) -> np.ndarray:
        """See Split. Rows without a class are in no split of a stratified draw."""
        if not self.config.stratify:
            return self.splits()[np.searchsorted(self.ends(), as_draws(values.hashes), side="right")]
        out = np.zeros(len(values.hashes), np.uint8)
        for code, rows in _by_class(values.codes):
            bounds = np.array(state["bounds"].get(values.names[code], []), np.uint64)
            buckets = np.searchsorted(bounds, values.hashes[rows], side="right")
            out[rows] = self.splits()[buckets]
        return out


def as_draws(hashes: np.ndarray) -> np.ndarray:
    """Hashes -> float64 in [0, 1), as `hashing.uniform` gives them."""
    draws: np.ndarray = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return draws


def _by_class(codes: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(code, its rows) of each class that occurs."""
    order = np.argsort(codes, kind="stable")
    found, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    rows = {int(code): order[start : start + n] for code, start, n in zip(found, starts, counts, strict=True)}
    return [(code, rows_of_class) for code, rows_of_class in rows.items() if code >= 0]
