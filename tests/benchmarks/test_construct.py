"""The benchmark runs, on a small graph."""

import pytest
from bench_construct import growth, run


@pytest.mark.slow
def test_run_measures_each_size_format_and_engine_beside_pyarrow() -> None:
    rows = run(edges=[500, 1000], formats=["parquet", "csv"], memory="1GB")
    cases = [(row["edges"], row["format"], row["by"]) for row in rows]
    assert cases == [(e, f, by) for e in (500, 1000) for f in ("parquet", "csv") for by in ("pyarrow", "arrow")]
    for row in rows:
        assert row["nodes"] == row["edges"] // 5
        assert row["rows_per_second"] > 0
        assert row["cpu_seconds"] >= 0
        assert row["peak_mb"] > 10
        assert row["written_mb"] == rows[1]["written_mb"] or row["edges"] > 500
    assert rows[0]["times"] == 1.0


def test_growth_is_the_exponent_between_the_smallest_and_the_largest_size() -> None:
    case = {"format": "parquet", "by": "arrow"}
    rows = [{**case, "edges": edges, "seconds": edges * 2.0, "cpu_seconds": edges**2.0} for edges in (10, 50, 100)]
    assert growth(rows) == ["growth of arrow, parquet: 1.00 (seconds), 2.00 (cpu_seconds)"]
    assert growth(rows[:1]) == []
