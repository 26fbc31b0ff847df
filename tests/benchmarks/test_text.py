from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench_text import REFERENCE, Competitor, Row, format_table, read_texts, run

from graphstorm_like.errors import DataError, MissingExtraError


def test_table_and_columns(tmp_path: Path) -> None:
    row = Row("ours", 1234.5, 600.0, 90_000.0, 700.0, 0.99991, 0.99995, 800.0, 0.75)
    head, line = format_table([row]).splitlines()
    assert "texts/s" in head
    assert line.split() == ["ours", "1,234", "600", "90,000", "700", "0.99991", "0.99995", "75%", "800"]
    pq.write_table(pa.table({"a": ["x", None], "b": ["y", "z"]}), tmp_path / "t.parquet")
    assert read_texts(str(tmp_path / "t.parquet"), ["a", "b"]).to_pylist() == ["x y", " z"]
    with pytest.raises(DataError, match="unknown column 'c'"):
        read_texts(str(tmp_path / "t.parquet"), ["c"])


def test_the_rival_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"graphstorm-like\[bench\]"):
        run(["a"])


@pytest.mark.slow
def test_both_libraries_agree(bert_folder: Path) -> None:
    pytest.importorskip("sentence_transformers")
    texts = [f"graph node {'data ' * (i % 20)}" for i in range(100)]
    ours = Competitor("ours", "ours", "float32")
    processes = Competitor("2 processes", "ours", "float32", per_core=True)
    rows = run(texts, model=str(bert_folder), max_tokens=20, threads=2, competitors=[REFERENCE, ours, processes])
    assert [row.name for row in rows] == [REFERENCE.name, "ours", "2 processes"]
    assert rows[2].peak_rss_mb > 1.5 * rows[1].peak_rss_mb  # all three processes count
    for row in rows:
        assert row.cosine_min > 0.9999
        assert min(row.texts_per_s, row.texts_per_cpu_s, row.peak_rss_mb, row.matmul_share) > 0
