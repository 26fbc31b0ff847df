"""Features of edges are made as those of nodes are, and follow their edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .tables_of_columns import encode_columns, encode_edges

TABLE = {
    "number": [3.0, 1.0, None, 2.0],
    "other": [1, 2, 3, 4],
    "word": ["a", "b", "a", None],
    "vector": ["1;2", "3;4", "5;6", "7;8"],
    "day": ["2024-01-01", "2023-06-05", None, "2024-12-31"],
}


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["number", "other"], "missing": "median", "normalize": "robust", "indicator": True},
        {"column": "vector", "separator": ";"},
        {"encode": "rank_gauss", "column": "number", "missing": "zero"},
        {"encode": "quantile", "column": "number", "missing": "median"},
        {"encode": "bucket", "column": "number", "buckets": 2, "by": "quantile", "missing": "own"},
        {"encode": "hashing", "column": "word", "buckets": 16},
        {"encode": "frequency", "column": "word"},
        {"encode": "date", "column": "day", "missing": "zero", "age": True},
        {"encode": "one_hot", "column": "word"},
    ],
    ids=str,
)
def test_edges_have_the_features_of_nodes(options: dict[str, Any], tmp_path: Path) -> None:
    of_nodes, _ = encode_columns(tmp_path, TABLE, **options)
    np.testing.assert_array_equal(encode_edges(tmp_path, TABLE, **options), of_nodes)
