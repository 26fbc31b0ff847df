"""A column of numbers, one per row, read the same way by every transform of such columns."""

from __future__ import annotations

import numpy as np

from gconstruct.problems import EXAMPLES, Unquoted
from gconstruct.values import Source, as_numbers


def read_scalars(source: Source, missing_is_error: bool, policies: tuple[str, ...]) -> np.ndarray | None:
    """float64 (n), NaN for null. Infinite numbers, and missing ones where they are an error, are reported: then None.

    policies: what `missing` may be instead of error; the first is proposed for infinite numbers.
    """
    numbers = as_numbers(source)
    if numbers is None:
        return None
    before = len(source.problems)
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        fix = f"Replace it in the table, e.g. by null with {source.key}.missing: {policies[0]}"
        source.refuse(infinite, values[infinite[:EXAMPLES]].tolist(), "finite", fix)
    missing = np.flatnonzero(np.isnan(values))
    if missing.size and missing_is_error:
        raw = [source.values[row].as_py() for row in missing[:EXAMPLES].tolist()]
        shown = [value if value is None else Unquoted("NaN") for value in raw]
        source.refuse(missing, shown, "a number", f"Set {source.key}.missing: {' or '.join(policies)}")
    return values if len(source.problems) == before else None
