"""The benchmark of partition methods, on a small graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_partition import build, main, run


@pytest.mark.slow
def test_a_row_is_measured_for_each_count_and_method(tmp_path: Path) -> None:
    rows = list(run(build(tmp_path, 2000, 8000), [2, 3], ["random", "fennel"], ["seed=1"]))
    assert [(row["partitions"], row["method"]) for row in rows] == [
        (2, "random"),
        (2, "fennel"),
        (3, "random"),
        (3, "fennel"),
    ]
    for row in rows:
        assert 1.0 <= row["types"] <= 1.031
        assert 1.0 <= row["edges"] < 2.0
        assert 0.0 < row["halo"] < row["partitions"]
        assert min(row["seconds"], row["cpu_s"], row["memory_mb"]) >= 0
    cut = {(row["partitions"], row["method"]): row["cut"] for row in rows}
    assert cut[2, "random"] == pytest.approx(1 / 2, abs=0.03)
    assert cut[2, "fennel"] < 0.6 * cut[2, "random"]


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--nodes", "500", "--edges", "1000", "--counts", "2", "--methods", "range"])
    out = capsys.readouterr().out
    assert out.splitlines()[-2].split()[:3] == ["partitions", "method", "cut"]
    assert out.splitlines()[-1].split()[:2] == ["2", "range"]
