"""Graphs of tables in memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import gconstruct
from gconstruct.held import held_table
from graphstorm_like.errors import ConfigError, DataError

from .tables import graph, item, link, read, write

IDS, NUMBERS, WORDS = ["a", "b", "c"], [1.0, 2.0, 4.0], ["x", None, "y"]
OPTIONS: dict[str, Any] = {
    "id": "id",
    "features": {"x": {"column": "x", "normalize": "none"}},
    "text": {"t": {"columns": "t"}},
    "labels": {"y": {"column": "x", "kind": "number", "split": {"train": 1.0, "valid": 0.0, "test": 0.0}}},
}
LINKS = {"source": "item", "relation": "link", "target": "item"}


def table() -> pa.Table:
    return pa.table({"id": IDS, "x": NUMBERS, "t": WORDS})


class OldFrame:
    """A data frame with nothing but the interchange protocol."""

    def __dataframe__(self, *args: Any, **options: Any) -> Any:
        return table().__dataframe__(*args, **options)


class Array:
    """One batch, by Arrow's C data interface."""

    def __arrow_c_array__(self, requested: Any = None) -> Any:
        return table().to_batches()[0].__arrow_c_array__(requested)


def pandas_frame() -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"id": IDS, "x": NUMBERS, "t": WORDS}, index=[7, 8, 9])


def pandas_categories() -> Any:
    frame = pandas_frame()
    frame["t"] = frame["t"].astype("category")
    return frame


def polars_frame() -> Any:
    return pytest.importorskip("polars").DataFrame({"id": IDS, "x": NUMBERS, "t": WORDS})


def polars_categories() -> Any:
    polars = pytest.importorskip("polars")
    return polars_frame().with_columns(polars.col("t").cast(polars.Categorical))


FORMS = {
    "pyarrow Table": table,
    "chunked": lambda: pa.concat_tables([table().slice(0, 1), table().slice(1)]),
    "RecordBatch": lambda: table().to_batches()[0],
    "RecordBatchReader": lambda: table().to_reader(),
    "C array": Array,
    "interchange protocol": OldFrame,
    "dict": lambda: {"id": IDS, "x": NUMBERS, "t": WORDS},
    "pandas": pandas_frame,
    "pandas categories": pandas_categories,
    "polars": polars_frame,
    "polars categories": polars_categories,
    "string views": lambda: table().cast(pa.schema([("id", pa.string_view()), ("x", "f4"), ("t", pa.binary_view())])),
}


def columns(folder: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = read(folder / "part-0/nodes/item.arrow").to_pydict()
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_graph_of_the_file(form: str, tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=IDS, x=NUMBERS, t=WORDS)
    write(tmp_path / "links.parquet", source=["a"], target=["b"])
    of_files = gconstruct.build_graph(graph(tmp_path, {"item": item(**OPTIONS)}, [link()]))
    links = pa.table({"source": ["a"], "target": ["b"]})
    manifest = gconstruct.build(
        tmp_path / "mine", {"item": {"table": FORMS[form](), **OPTIONS}}, [{"table": links, **LINKS}]
    )
    assert manifest.nodes == of_files.nodes
    assert manifest.edges == of_files.edges
    assert columns(tmp_path / "mine") == columns(tmp_path / "out/graph")


def test_it_is_built_again_when_the_table_changes(tmp_path: Path) -> None:
    lines: list[str] = []

    def build(values: list[float]) -> None:
        nodes = {"item": {"table": {"id": IDS, "x": values}, "id": "id", "features": {"x": "x"}}}
        gconstruct.build(tmp_path / "g", nodes, progress=lines.append)

    build(NUMBERS)
    build(NUMBERS)
    assert lines[-1] == f"{tmp_path / 'g'} is up to date"
    build([1.0, 2.0, 3.0])
    assert any(line.startswith(f"{tmp_path / 'g'}: 3 nodes") for line in lines[-2:])
    assert held_table("table://nodes.item") is None, "nothing is kept"


def test_tables_in_memory_beside_files_and_types_without_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "links.parquet", source=IDS, target=["u", "v", "u"])
    monkeypatch.chdir(tmp_path)  # where relative files start
    manifest = gconstruct.build(
        "g",
        {"item": {"table": table(), "id": "id"}, "user": None},
        [{"files": "links.parquet", "source": "item", "relation": "of", "target": "user"}],
        partitions={"count": 2},
    )
    assert (manifest.nodes["user"].count, len(manifest.partitions)) == (2, 2)


def test_rows_of_messages_are_those_of_the_table(tmp_path: Path) -> None:
    links = pa.table({"source": ["a", "b"], "target": ["b", "z"]})
    told = "table://edges[0] row 2: column 'target' must be the id of a node of type 'item' (got 'z')"
    with pytest.raises(DataError, match=re.escape(told)):
        gconstruct.build(tmp_path / "g", {"item": {"table": table(), "id": "id"}}, [{"table": links, **LINKS}])
    with pytest.raises(DataError, match=re.escape("graph.nodes.item.id: table://nodes.item: unknown column 'idd'")):
        gconstruct.build(tmp_path / "g", {"item": {"table": table(), "id": "idd"}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("nodes", "edges", "told"),
    [
        (
            {"item": table()},
            [],
            "graph.nodes.item: must be a mapping, {'table': ..., 'id': ...} (got Table). The table",
        ),
        (
            {"item": {"table": [1, 2], "id": "id"}},
            [],
            "graph.nodes.item.table: must be a pyarrow Table, a data frame or a dict of columns (got list)",
        ),
        (
            {"item": {"table": {"id": [1, "a"]}, "id": "id"}},
            [],
            "graph.nodes.item.table: must be a table that Arrow can hold (got: ",
        ),
        (
            {"item": {"table": table(), "files": "a.csv", "id": "id"}},
            [],
            "graph.nodes.item: must have either 'table' or 'files', not both",
        ),
        ({"item": {"table": table(), "idd": "id"}}, [], "graph: nodes.item.idd: unknown key"),
        (
            {"item": {"table": table(), "id": "id"}},
            [{"table": table(), **LINKS, "target": "itm"}],
            "graph: edges[0].target: unknown node type 'itm' (known: item). Did you mean 'item'?",
        ),
    ],
)
def test_wrong_calls(nodes: Any, edges: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        gconstruct.build(tmp_path / "g", nodes, edges)


def test_a_name_of_a_table_that_is_not_held(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("graph.nodes.item.files: table://x must be a table in memory")):
        gconstruct.build_graph(graph(tmp_path, {"item": item(files="table://x")}))


def test_the_documented_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "guide" / "tables.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out == "3 4\n"
