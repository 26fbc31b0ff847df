"""`by: ids`: files name the ids of each split.

Ids are compared by their 64-bit hashes: 8 bytes for each id that a file names, in every process that encodes rows.
Two ids of one hash are to be expected with 4e9 ids, and then concern two rows. Statistics: which of the named ids the
table has, one byte each.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.hashing import hash_strings
from gconstruct.problems import EXAMPLES, Problems, counted, shown
from gconstruct.sets import contained_sorted, distinct, occurring
from gconstruct.splits.base import SPLIT_OPERATORS, Split, SplitRows, State
from gconstruct.splits.id_files import read_ids, split_files
from graphstorm_like.config.splits import PARTS, IdsSplit
from graphstorm_like.graph.schema import SPLITS

Found = dict[str, np.ndarray]
"""By part: bool, for each id of its list in order of hash, whether the table has it"""


@SPLIT_OPERATORS.register(IdsSplit)
class Named(Split[IdsSplit, np.ndarray, Found]):
    """Values: hashes of the ids of n rows, uint64."""

    def __init__(self, config: IdsSplit) -> None:
        super().__init__(config)
        self.needs_fit = config.on_unknown_id == "error"
        self._lists: dict[str, np.ndarray] | None = None
        self._found: Problems | None = None
        """What is wrong with the files; None: they were not read"""
        self._reading = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Without the lock, which cannot be pickled."""
        return {name: value for name, value in vars(self).items() if name != "_reading"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With a lock of this process."""
        vars(self).update(state)
        self._reading = Lock()

    def read(self, rows: SplitRows) -> np.ndarray | None:
        """The first call reads the files. Every call reports what is wrong with them, such as ids that several parts
        name: threads call it for rows in any order."""
        return hash_strings(rows.ids()) if self._read_once(rows) else None

    def _read_once(self, rows: SplitRows) -> bool:
        """Whether the lists can be used."""
        with self._reading:
            if self._found is None:
                found = Problems()
                self._lists = self._read_lists(replace(rows, problems=found))
                self._found = found
        rows.problems.add_all(self._found)
        return self._lists is not None

    def _read_lists(self, rows: SplitRows) -> dict[str, np.ndarray] | None:
        before = len(rows.problems)
        lists: dict[str, np.ndarray] = {}
        for part in self.config.files():
            ids = self._ids(part, rows)
            if ids is not None:
                lists[part] = distinct(hash_strings(ids))
        if len(rows.problems) == before:
            self._check_apart(lists, rows)
        return lists if len(rows.problems) == before else None

    def _ids(self, part: str, rows: SplitRows) -> pa.Array | None:
        files = split_files(self.config, part, rows.key, rows.base, rows.problems)
        return read_ids(files, self.config.columns, rows.is_edge, f"{rows.key}.{part}", rows.problems)

    def _check_apart(self, lists: dict[str, np.ndarray], rows: SplitRows) -> None:
        for index, first in enumerate(lists):
            for second in list(lists)[index + 1 :]:
                both = np.intersect1d(lists[first], lists[second], assume_unique=True)
                if both.size:
                    examples = self._examples(second, both, rows)
                    rows.problems.add(
                        f"{rows.key}: each id must be in one split (got {counted(len(both), 'id')} in both {first} and "
                        f"{second}, e.g. {examples}). Remove them from one of the lists",
                        rows.key,
                    )

    def _examples(self, part: str, hashes: np.ndarray, rows: SplitRows) -> str:
        """The first ids of a list with these hashes, as messages show them; the files are read again."""
        ids = self._ids(part, rows)
        if ids is None:
            return "?"
        at = np.flatnonzero(contained_sorted(hash_strings(ids), hashes))
        values = list(dict.fromkeys(ids.take(pa.array(at[: 10 * EXAMPLES])).to_pylist()))[:EXAMPLES]
        return ", ".join(shown(value.replace("\x1f", " -> ")) for value in values)

    def fit(self, values: np.ndarray) -> Found:
        """See Found."""
        assert self._lists is not None, "read comes first"
        found: Found = {}
        for part, ids in self._lists.items():
            found[part] = occurring(ids, values)
        return found

    def merge(self, first: Found, second: Found) -> Found:
        """Those that either has."""
        return {part: first[part] | second[part] for part in first}

    def state(self, statistics: Found, rows: SplitRows) -> State | None:
        """Ids that the table lacks are reported."""
        before = len(rows.problems)
        if not self._read_once(rows):
            return None
        assert self._lists is not None
        for part, found in statistics.items() if self.config.on_unknown_id == "error" else ():
            if not found.all():
                unknown = self._lists[part][~found]
                rows.problems.add(
                    f"{rows.key}.{part}: must name rows of {rows.table.label()} (got "
                    f"{counted(len(unknown), 'unknown id')}, e.g. {self._examples(part, unknown, rows)}). Correct the "
                    f"list, or set {rows.key}.on_unknown_id: skip",
                    f"{rows.key}.{part}",
                )
        return {} if len(rows.problems) == before else None

    def apply(self, values: np.ndarray, state: State) -> np.ndarray:
        """See Split."""
        assert self._lists is not None, "read comes first"
        rest = 0 if "train" in self._lists else SPLITS.index("train")
        splits = np.full(len(values), rest, np.uint8)
        for part in PARTS:
            if part in self._lists:
                splits[contained_sorted(values, self._lists[part])] = SPLITS.index(part)
        return splits
