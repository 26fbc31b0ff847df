"""Every format gives the same table: whole, by piece and as a stream, with the same places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gconstruct.problems import Problems
from gconstruct.readers import READ_ERRORS, reader_of
from gconstruct.readers import base as readers_base
from gconstruct.tables.plan import TablePlan
from gconstruct.tables.read import read_piece, read_table, stream_table
from graphstorm_like.config.formats import format_of, known_formats, listed_suffixes
from graphstorm_like.errors import DataError

from ..tables import graph, item
from .formats import WRITERS, json_lines, plan_of, write_as

ROWS = 3000
IDS = [f"näme-{i}" for i in range(ROWS)]
NUMBERS = [i / 4 if i % 7 else None for i in range(ROWS)]
NODE: dict[str, Any] = {"features": {"x": {"column": "x", "missing": "zero"}}, "text": {"t": {"columns": "t"}}}


def rows_of(data: pa.Table) -> list[dict[str, Any]]:
    """Rows as Python values, numbers of text formats too."""
    numbers = [None if x is None else float(x) for x in data.column("x").to_pylist()]
    return [
        {"id": i, "x": x, "t": t}
        for i, x, t in zip(data.column("id").to_pylist(), numbers, data.column("t").to_pylist())
    ]


def expected() -> list[dict[str, Any]]:
    texts = [f"text {i}" if i % 5 else None for i in range(ROWS)]
    return [{"id": i, "x": x, "t": t} for i, x, t in zip(IDS, NUMBERS, texts)]


def written(path: Path) -> Path:
    columns = {name: [row[name] for row in expected()] for name in ("x", "t", "id")}
    return write_as(path, other=list(range(ROWS)), **columns)


@pytest.mark.parametrize("ending", WRITERS)
def test_whole_by_piece_and_as_a_stream(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers_base, "PIECE_BYTES", 20_000)  # several pieces where the format has them
    path = written(tmp_path / f"a{ending}")
    problems = Problems()
    plan = plan_of(tmp_path, problems, files=path.name, **NODE)
    whole = read_table(plan, problems)
    assert whole is not None
    assert rows_of(whole.data) == expected()
    assert whole.place(ROWS - 1) == (str(path), ROWS)
    stream = list(stream_table(plan, problems, 1000))
    assert [len(table) for table in stream] == [1000, 1000, 1000]
    assert pa.concat_tables([table.data for table in stream]).equals(whole.data)
    assert stream[1].place(7) == (str(path), 1008)
    row = 0
    for piece in plan.pieces:
        for table in read_piece(plan, piece, problems, 450):
            assert rows_of(table.data) == expected()[row : row + len(table)]
            assert table.place(len(table) - 1) == (str(path), row + len(table))
            row += len(table)
    assert row == ROWS
    assert len(problems) == 0


def pieces_of(path: Path) -> list[tuple[int, int | None]]:
    return [(piece.part.first_row, piece.part.rows) for piece in plan_of(path.parent, files=path.name, **NODE).pieces]


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".orc"])
def test_pieces_say_where_their_rows_are(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / f"a{ending}")
    one = pieces_of(path)
    assert len(one) == 1
    monkeypatch.setattr(readers_base, "PIECE_BYTES", 5_000)
    several = pieces_of(path)
    assert len(several) > 1
    first_rows, rows = zip(*several)
    assert sum(rows) == ROWS
    assert list(first_rows) == [sum(rows[:i]) for i in range(len(rows))]


def test_all_formats_are_known_by_their_endings() -> None:
    by_ending = {ending: format_of(f"/x/A{ending}".upper()) for ending in WRITERS}
    assert set(by_ending.values()) == set(known_formats())
    assert format_of("a.json") == "jsonl"
    assert format_of("a.json", in_folder=True) is None, "a README of a data set"
    assert format_of("a.json.gz", in_folder=True) == "jsonl"
    assert format_of("a.parquet.gz") is None
    for suffix in known_formats()["jsonl"].suffixes:
        assert suffix in listed_suffixes()


def test_every_format_has_a_reader(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, files=str(write_as(tmp_path / "a.csv", id=["a"])))
    file = plan.files[0]
    for name in known_formats():
        assert reader_of(type(file)("a", name, 1, "")) is not None
    with pytest.raises(DataError, match="a: unknown format 'parquett' .known: .*Did you mean 'parquet'"):
        reader_of(type(file)("a", "parquett", 1, ""))


def test_mixed_formats_are_one_table_in_the_order_of_the_files(tmp_path: Path) -> None:
    endings = (".parquet", ".csv", ".jsonl", ".arrow", ".orc", ".csv.zst", ".feather")
    names = [f"{i}{ending}" for i, ending in enumerate(endings)]
    for i, name in enumerate(names):
        write_as(tmp_path / name, id=[f"a{i}", f"b{i}"], x=[i, i + 10])
    problems = Problems()
    plan = plan_of(tmp_path, problems, files=names, features={"x": "x"})
    tables = list(stream_table(plan, problems, 5))
    assert [len(table) for table in tables] == [5, 5, 4]
    whole = read_table(plan, problems)
    assert whole is not None
    assert whole.data.equals(pa.concat_tables([table.data for table in tables]))
    assert whole.data.column("id").to_pylist() == [f"{letter}{i}" for i in range(7) for letter in "ab"]
    assert [tables[1].place(row) for row in range(5)] == [
        (str(tmp_path / names[n // 2]), n % 2 + 1) for n in range(5, 10)
    ]


def broken_second_of_three(folder: Path) -> TablePlan:
    write_as(folder / "1.csv", id=["a"], x=[1])
    (folder / "2.csv").write_text("id,x\nb,2\nc,1,2\n")
    write_as(folder / "3.csv", id=["c"], x=["three"])
    return plan_of(folder, files="*.csv", features={"x": "x"})


def test_a_stream_tells_of_all_files_and_gives_nothing_after_the_first_broken_one(tmp_path: Path) -> None:
    problems = Problems()
    plan = broken_second_of_three(tmp_path)
    assert list(stream_table(plan, problems)) == []
    assert problems.messages == [
        f"{tmp_path}/2.csv line 3: a line must have 2 fields, as the header has (got 3). "
        "Quote fields that hold ',', or set csv.delimiter"
    ]
    assert read_table(plan, Problems()) is None


def test_a_column_that_cannot_be_cast_is_told_once_a_file(tmp_path: Path) -> None:
    write_as(tmp_path / "n.parquet", id=[1, 2])
    write_as(tmp_path / "a.csv", id=[*map(str, range(3, 1000)), "x", *map(str, range(1000, 3000)), "y"])
    problems = Problems()
    plan = plan_of(tmp_path, problems, files=["n.parquet", "a.csv"])
    assert list(stream_table(plan, problems, 100)) == []
    assert problems.messages == [
        f"{tmp_path}/a.csv row 998: column 'id' must hold int64 integers (got 'x'). {tmp_path}/n.parquet has int64, "
        "so the CSV files of this table must hold the same"
    ]


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".arrows", ".feather", ".orc", ".csv"])
def test_a_table_without_rows(ending: str, tmp_path: Path) -> None:
    write_as(tmp_path / f"a{ending}", id=pa.array([], pa.string()))
    problems = Problems()
    plan = plan_of(tmp_path, problems, files=f"a{ending}")
    whole = read_table(plan, problems)
    assert whole is not None
    assert len(whole) == 0
    assert [len(table) for table in stream_table(plan, problems)] == [0]
    assert len(problems) == 0


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz", ".jsonl", ".arrow", ".feather", ".orc"])
def test_cells_of_many_megabytes(ending: str, tmp_path: Path) -> None:
    """Larger than the blocks in which text is parsed."""
    sizes = [1, 20 << 20, 3, 11 << 20, 5]
    write_as(tmp_path / f"a{ending}", id=[str(size) for size in sizes], t=["x" * size for size in sizes])
    problems = Problems()
    plan = plan_of(tmp_path, problems, files=f"a{ending}", text={"t": {"columns": "t"}})
    lengths: list[int] = []
    for table in stream_table(plan, problems, 2):
        lengths += pa.compute.utf8_length(table.column("t")).to_pylist()
    assert problems.messages == []
    assert lengths == sizes
    whole = read_table(plan, problems)
    assert whole is not None
    assert whole.data.column("id").to_pylist() == [str(size) for size in sizes]


def test_a_large_cell_after_many_blocks_repeats_no_row(tmp_path: Path) -> None:
    """The larger block in which it is parsed begins with rows that were given already."""
    rows = [f"{i},{'x' * 1000}\n" for i in range(40_000)]
    (tmp_path / "a.csv").write_text("".join(["id,t\n", *rows, f"large,{'y' * (20 << 20)}\n", *rows[:10]]))
    problems = Problems()
    plan = plan_of(tmp_path, problems, files="a.csv", text={"t": {"columns": "t"}})
    ids: list[str] = []
    for table in stream_table(plan, problems):
        ids += table.column("id").to_pylist()
    problems.raise_if_any()
    numbers = [str(i) for i in range(40_000)]
    assert ids == [*numbers, "large", *numbers[:10]]


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".arrows", ".orc"])
def test_bytes_are_text_if_they_are_utf8(ending: str, tmp_path: Path) -> None:
    write_as(tmp_path / f"good{ending}", id=["ä".encode(), b"b"])
    write_as(tmp_path / f"bad{ending}", id=[b"b", b"\xff"])
    problems = Problems()
    good = read_table(plan_of(tmp_path, problems, files=f"good{ending}"), problems)
    assert good is not None
    assert good.data.column("id").to_pylist() == ["ä", "b"]
    assert list(stream_table(plan_of(tmp_path, problems, files=f"bad{ending}"), problems)) == []
    assert problems.messages == [
        f"{tmp_path}/bad{ending} row 2: column 'id' must hold UTF-8 text (got b'\\xff'). "
        "Correct the value, or cast the column"
    ]


def test_a_reader_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A format is a name with endings, and a reader; nothing else knows of it."""
    from collections.abc import Iterator

    from graphstorm_like.config import formats as formats_base
    from graphstorm_like.config.formats import Format, add_format

    monkeypatch.setattr(formats_base, "_formats", dict(formats_base._formats))
    monkeypatch.setattr(readers_base, "_readers", dict(readers_base._readers))
    before = dict(formats_base._names)
    add_format(Format("words", (".words",)))

    @readers_base.register("words")
    class WordsReader(readers_base.Reader):
        def header(self, file: Any, options: Any, needed: Any) -> readers_base.Header:
            return readers_base.Header((("id", pa.string()),), (readers_base.Piece(),))

        def batches(self, file: Any, piece: Any, columns: Any, options: Any) -> Iterator[pa.RecordBatch]:
            for word in Path(file.path).read_text().split():
                yield pa.record_batch({"id": [word]})

        def explain(self, file: Any, error: BaseException, options: Any) -> str:
            return f"{file.path}: {error}"

    (tmp_path / "a.words").write_text("one two\nthree")
    try:
        problems = Problems()
        table = read_table(plan_of(tmp_path, problems, files="a.words"), problems)
        assert table is not None
        assert table.data.column("id").to_pylist() == ["one", "two", "three"]
        assert graph(tmp_path, {"item": item(format="words")}).nodes["item"].format == "words"
    finally:
        formats_base._names.clear()
        formats_base._names.update(before)


def test_read_errors_are_those_that_damaged_files_raise() -> None:
    assert issubclass(pa.ArrowInvalid, READ_ERRORS)
    assert json_lines([{"a": 1}]) == b'{"a": 1}\n'
