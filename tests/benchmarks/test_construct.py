"""The benchmark runs, on a small graph."""

from bench_construct import run


def test_run_measures_each_format() -> None:
    rows = run(nodes=200, edges=1000)
    assert [row["format"] for row in rows] == ["parquet", "csv"]
    for row in rows:
        assert (row["nodes"], row["edges"]) == (200, 1000)
        assert row["rows_per_second"] > 0
        assert row["cpu_seconds"] > 0
        assert row["peak_mb"] > 10
