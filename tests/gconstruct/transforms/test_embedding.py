"""Vectors from files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph, vector_files
from gconstruct.construction import is_current, table_problems
from gconstruct.spill.id_index import IdLookup
from gconstruct.spill.ordered import ordered_map
from gconstruct.vector_files import open_vectors
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph

from ..tables import graph, item, link, write
from .pieces import config_of
from .tables_of_columns import encode_columns, encode_edges

VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = ["c", "a", "d", "b"]
NODES = {"id": ["a", "b", "c"]}
EXPECTED = VECTORS[[1, 3, 0]]


def numpy_files(folder: Path, kind: str = "float32") -> dict[str, Any]:
    np.save(folder / "v.npy", VECTORS.astype(kind))
    (folder / "ids.txt").write_text("\n".join(IDS) + "\n", encoding="utf-8")
    return {"encode": "embedding", "vectors": "v.npy", "ids": "ids.txt"}


def parquet_file(folder: Path, ids: list[Any] = IDS, rows: int = 2, **columns: Any) -> dict[str, Any]:
    table = pa.table({"id": ids, "vector": pa.array(VECTORS.tolist(), pa.list_(pa.float32())), **columns})
    pq.write_table(table, folder / "v.parquet", row_group_size=rows)
    return {"encode": "embedding", "vectors": "v.parquet"}


@pytest.mark.known_answer("features/embedding")
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int32"])
def test_numpy_with_ids(kind: str, tmp_path: Path) -> None:
    values, schema = encode_columns(tmp_path, NODES, **numpy_files(tmp_path, kind))
    np.testing.assert_array_equal(values, EXPECTED)
    assert schema.width == 3


def test_ids_of_numpy(tmp_path: Path) -> None:
    options = {**numpy_files(tmp_path), "ids": "ids.npy"}
    np.save(tmp_path / "ids.npy", np.array(IDS))
    np.testing.assert_array_equal(encode_columns(tmp_path, NODES, **options)[0], EXPECTED)
    np.save(tmp_path / "ids.npy", np.array([3, 1, 4, 2]))
    np.testing.assert_array_equal(encode_columns(tmp_path, {"id": [1, 2, 3]}, **options)[0], EXPECTED)
    np.testing.assert_array_equal(encode_columns(tmp_path, {"id": ["1", "2", "3"]}, **options)[0], EXPECTED)


def test_parquet_in_row_groups(tmp_path: Path) -> None:
    for rows in (1, 3, 4):
        np.testing.assert_array_equal(encode_columns(tmp_path, NODES, **parquet_file(tmp_path, rows=rows))[0], EXPECTED)
    pq.write_table(
        pa.table({"name": IDS, "v": pa.array(VECTORS.tolist(), pa.list_(pa.float64(), 3))}), tmp_path / "o.pq"
    )
    options = {"encode": "embedding", "vectors": "o.pq", "id_column": "name", "vector_column": "v"}
    np.testing.assert_array_equal(encode_columns(tmp_path, NODES, **options)[0], EXPECTED)


def test_a_key_of_its_own_dims_and_length(tmp_path: Path) -> None:
    options = {**parquet_file(tmp_path), "key": "word", "dims": 2, "normalize": "unit", "missing": "zero"}
    values, schema = encode_columns(tmp_path, {"word": ["d", None, "unknown", "d"]}, **options)
    expected = VECTORS[2, :2] / np.linalg.norm(VECTORS[2, :2])
    np.testing.assert_allclose(values, [expected, [0, 0], [0, 0], expected], rtol=1e-6)
    assert schema.width == 2


def test_vectors_that_go_by_the_rows_of_the_table(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    options = {"encode": "embedding", "vectors": "v.npy"}
    np.testing.assert_array_equal(encode_columns(tmp_path, {"id": IDS}, **options)[0], VECTORS)
    write(tmp_path / "items.parquet", id=["a", "a", None, "b"])
    build_graph(graph(tmp_path, {"item": item(features={"f": options}, on_bad_id="skip")}), force=True)
    np.testing.assert_array_equal(LocalGraph(tmp_path / "out/graph").feature("item", "f"), VECTORS[[0, 3]])
    with pytest.raises(DataError, match=r"row 5: column 'id' must be an id with a vector in .*v.npy \(got 'e'\)"):
        encode_columns(tmp_path, {"id": [*IDS, "e"]}, **options)
    write(tmp_path / "more.parquet", id=["z"])
    two = graph(tmp_path, {"item": item(files=["items.parquet", "more.parquet"], features={"f": options})})
    with pytest.raises(DataError, match="must be of a table of one file"):
        build_graph(two, force=True)


def test_edges(tmp_path: Path) -> None:
    options = {**parquet_file(tmp_path), "key": "word"}
    np.testing.assert_array_equal(encode_edges(tmp_path, {"word": ["a", "b", "c"]}, **options), EXPECTED)
    with pytest.raises(ValueError, match="must have 'key'"):
        graph(tmp_path, {"item": item()}, [link(features={"f": parquet_file(tmp_path)})])


def test_a_changed_file_makes_the_graph_again(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", **NODES)
    config = graph(tmp_path, {"item": item(features={"f": numpy_files(tmp_path)})})
    build_graph(config)
    assert is_current(config)
    np.save(tmp_path / "v.npy", VECTORS + 1)
    assert not is_current(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"vectors": "nowhere.parquet"},
            r"features.f: .*nowhere.parquet must be a file that can be read \(No such file",
        ),
        ({"vectors": "items.parquet"}, "items.parquet: unknown column 'vector'"),
        ({"id_column": "key"}, "v.parquet: unknown column 'key'"),
        ({"vector_column": "id"}, r"column 'id' must hold lists of numbers \(got string\)"),
        ({"dims": 4}, r"must hold vectors of at least 4 numbers \(got 3\)"),
    ],
    ids=str,
)
def test_files_that_do_not_fit(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        encode_columns(tmp_path, NODES, **{**parquet_file(tmp_path), **change})


def test_what_is_wrong_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2: column 'id' must be an id with a vector in .*v.parquet \(got 'z'\)"):
        encode_columns(tmp_path, {"id": ["a", "z"]}, **parquet_file(tmp_path))
    with pytest.raises(DataError, match=r"ids of vectors must be unique \(got 1 repeated ones\)"):
        encode_columns(tmp_path, NODES, **parquet_file(tmp_path, ["a", "a", "b", "c"]))
    with pytest.raises(DataError, match=r"ids of vectors must be non-null \(got 1 nulls\)"):
        encode_columns(tmp_path, NODES, **parquet_file(tmp_path, ["a", None, "b", "c"]))
    uneven = pa.array([[1.0], [1.0, 2.0], [1.0], [1.0]])
    with pytest.raises(
        DataError, match=r"must hold a list of 1 numbers in each row, as in the first \(got a list of 2"
    ):
        encode_columns(tmp_path, NODES, **parquet_file(tmp_path, vector=uneven))
    infinite = pa.array([[1.0], [float("nan")], [1.0], [1.0]])
    with pytest.raises(DataError, match="row 1: column 'id' must be an id whose vector in .* is finite"):
        encode_columns(tmp_path, NODES, **parquet_file(tmp_path, vector=infinite))
    options = numpy_files(tmp_path)
    (tmp_path / "ids.txt").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"must have an id for each of the 4 vectors of .*v.npy \(got 2\)"):
        encode_columns(tmp_path, NODES, **options)
    np.save(tmp_path / "v.npy", np.zeros(4))
    with pytest.raises(DataError, match=r"must hold numbers of the shape \(vectors, width\) \(got float64 \(4,\)\)"):
        encode_columns(tmp_path, NODES, **options)
    (tmp_path / "v.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="v.npy must be a .npy or Parquet file that can be read"):
        encode_columns(tmp_path, NODES, **options)


def test_missing_files_are_reported_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", **NODES)
    config = graph(tmp_path, {"item": item(features={"f": {"encode": "embedding", "vectors": "v.parquet"}})})
    [(key, message)] = table_problems(config)
    assert key == "graph.nodes.item.features.f"
    assert "v.parquet must be a file that can be read" in message


def test_open_files_are_opened_again_when_they_change(tmp_path: Path) -> None:
    parquet_file(tmp_path)
    file = open_vectors(tmp_path / "v.parquet", None, "id", "vector", "f")
    assert file is open_vectors(tmp_path / "v.parquet", None, "id", "vector", "f")
    parquet_file(tmp_path, ["e", "f", "g", "h"])
    again = open_vectors(tmp_path / "v.parquet", None, "id", "vector", "f")
    assert again.find(pa.array(["h", "a"])).tolist() == [3, -1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vectors": "v.parquet", "ids": "ids.txt"}, "must be left out of a Parquet file"),
        ({"vectors": "s3://bucket/v.parquet"}, "must be a local file"),
    ],
)
def test_configurations_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(encode="embedding", **options)


def test_another_graph_may_have_other_files(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    encode_columns(tmp_path / "old", NODES, **parquet_file(tmp_path / "old"))
    write(tmp_path / "items.parquet", id=["a", "b"])
    config = graph(tmp_path, {"item": item(features={"f": numpy_files(tmp_path)})})
    build_graph(config.model_copy(update={"like": str(tmp_path / "old/out/graph")}))
    np.testing.assert_array_equal(LocalGraph(tmp_path / "out/graph").feature("item", "f"), EXPECTED[:2])


def test_ids_of_a_file_are_indexed_once_for_all_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet_file(tmp_path)
    made: list[IdLookup] = []

    class Counted(IdLookup):
        def __init__(self, ids: pa.Array) -> None:
            super().__init__(ids)
            made.append(self)

    monkeypatch.setattr(vector_files, "IdLookup", Counted)
    file = open_vectors(tmp_path / "v.parquet", None, "id", "vector", "key")
    batches = [[value, None, "x"] for value in IDS]
    rows = ordered_map(lambda batch: file.find(pa.array(batch)).tolist(), batches, 4)
    assert list(rows) == [[row, -1, -1] for row in range(4)]
    assert len(made) == 1
