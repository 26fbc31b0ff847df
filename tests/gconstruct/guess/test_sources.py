"""Which files are one table, how CSV is written, and samples."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct.guess.dialect import sniff
from gconstruct.guess.sources import find_sources
from gconstruct.inputs import InputFile
from graphstorm_like.errors import DataError


def write(path: Path, **columns: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_numbered_files_with_the_same_columns_are_one_table(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"rows-{number}.parquet", a=[number])
        write(tmp_path / "events" / f"part-0000{number}.parquet", b=[1])
    write(tmp_path / "rows-9.parquet", other=[1])
    write(tmp_path / "r1.parquet", a=[1])
    write(tmp_path / "r2.parquet", a=[1])
    write(tmp_path / ".hidden.parquet", a=[1])
    found = {source.name: len(source.files) for source in find_sources([str(tmp_path)])}
    assert found == {"r1": 1, "r2": 1, "rows": 3, "rows-9": 1, "events": 3}


def test_a_file_counts_once_and_globs_are_paths(tmp_path: Path) -> None:
    file = write(tmp_path / "users.parquet", a=[1])
    assert [s.name for s in find_sources([str(file), str(tmp_path), str(tmp_path / "*.parquet")])] == ["users"]


def test_all_that_is_wrong_with_files_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(DataError) as error:
        find_sources([str(tmp_path), str(tmp_path / "missing.csv")])
    for part in ("empty.csv", "bad.parquet", "missing.csv"):
        assert part in str(error.value)


def test_samples_are_from_all_over(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array(range(200_000))})
    for name, size in (("one", 200_000), ("many", 1_000)):
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=size)
    for source in find_sources([str(tmp_path)]):
        sample, whole = source.sample(1_000)
        numbers = sample.column("n").to_pylist()
        assert not whole
        assert 500 <= len(numbers) <= 1_500
        assert min(numbers) == 0
        assert max(numbers) >= 190_000
        assert source.sample(200_000)[1]
        assert sum(batch.num_rows for batch in source.batches(["n"])) == 200_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b\n1,2\n", {}),
        ("a;b\n1,5;2\n2,5;3\n", {"delimiter": ";"}),
        ("a\tb\n1\t2\n", {"delimiter": "\t"}),
        ("a|b|c\n1|x, y|3\n", {"delimiter": "|"}),
        ("'a';'b'\n'x;y';'it''s'\n", {"delimiter": ";", "quote": "'"}),
        ('a,b\n"x;y","z;z"\n', {}),
        ("name\nIt's here\nJohn's\n", {}),
        ("only\n1\n2\n", {}),
    ],
)
def test_dialects(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert sniff(InputFile(str(path), "csv", len(text), "")).model_dump(exclude_unset=True) == found


def test_tabs_of_a_tsv_need_no_word(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n1\t2\n")
    assert sniff(InputFile(str(path), "csv", 8, "")).model_dump(exclude_unset=True) == {}


def test_a_path_that_is_not_there_is_named_in_the_words_of_the_command() -> None:
    with pytest.raises(DataError, match=r"^nowhere/tables: must be a file or folder of tables \(got nothing there\)"):
        find_sources(["nowhere/tables"])
