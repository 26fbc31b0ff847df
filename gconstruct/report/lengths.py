"""Texts: how many are missing or empty, and how long they are.

Bytes come from the offsets of all rows, which cost 8 bytes a row to read; characters, words and repetitions from
SAMPLE rows.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.report.model import Lengths, TextProfile
from gconstruct.report.numbers import histogram
from gconstruct.report.rows import Pieces, rows_in, sample_runs

SAMPLE = 20_000
SAMPLE_BYTES = 64 << 20
"""Rows of long texts are fewer."""
_BLOCK = 1 << 18


def text_profile(column: Pieces) -> TextProfile:
    """Of one text column."""
    num_rows, nulls, empty, size, longest = len(column), 0, 0, 0, 0
    for piece in column.slices([(0, num_rows)], _BLOCK):
        valid = piece.drop_null() if piece.null_count else piece
        nulls += piece.null_count
        if len(valid):
            lengths = pc.binary_length(valid).to_numpy(zero_copy_only=False)
            empty += int(np.count_nonzero(lengths == 0))
            size, longest = size + int(lengths.sum()), max(longest, int(lengths.max()))
    wanted = min(SAMPLE, max(200, int(SAMPLE_BYTES / max(size / max(num_rows, 1), 1))))
    runs = sample_runs(num_rows, wanted)
    pieces = [piece.drop_null() for piece in column.slices(runs, _BLOCK)]
    sample = pa.concat_arrays(pieces) if pieces else pa.array([], pa.large_string())
    characters = pc.utf8_length(sample).to_numpy(zero_copy_only=False)
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(sample)))
    return TextProfile(
        rows=num_rows,
        nulls=nulls,
        empty=empty,
        bytes=size,
        longest_bytes=longest,
        rows_seen=rows_in(runs),
        characters=_lengths(characters),
        words=_lengths(np.where(characters == 0, 0, words.to_numpy(zero_copy_only=False))),
        present=len(sample),
        distinct=pc.count_distinct(sample).as_py(),
        histogram=histogram(characters.astype(np.float64)),
    )


def _lengths(lengths: np.ndarray) -> Lengths | None:
    if not lengths.size:
        return None
    median, p90 = np.quantile(lengths, [0.5, 0.9], method="inverted_cdf").astype(np.int64).tolist()
    return Lengths(min=int(lengths.min()), median=median, mean=float(lengths.mean()), p90=p90, max=int(lengths.max()))
