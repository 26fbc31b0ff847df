"""gsl index and gsl search on results of inference that are written here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.inference.writers import ResultFolder, list_column
from graphstorm_like.search.folder import IndexFolder
from graphstorm_like.search.run import make_index, search_ids

POINTS = np.array([[1, 0], [2, 0.1], [0, 3], [-1, 0], [0.1, 1]], dtype=np.float32)
NAMES = ["a", "b", "c", "d", "ä/é"]


def silent(_: str) -> None:
    pass


def write_results(folder: Path, ids: pa.Array, links: bool = True) -> Path:
    """Embeddings in two shards; of links: a query vector for each id, which points the opposite way."""
    with ResultFolder(folder) as results:
        shards = [slice(0, 2), slice(2, 5)]
        of_nodes = [pa.table({"id": ids[s], "embedding": list_column(POINTS[s])}) for s in shards]
        results.write("embeddings/thing", of_nodes)
        if links:
            results.write("link_vectors/source", [pa.table({"id": ids, "vector": list_column(-POINTS)})])
            results.write("link_vectors/target", [pa.table({"id": ids, "vector": list_column(POINTS)})])
        results.write("predictions", [pa.table({"id": ids})])
        ends = {"source": "link_vectors/source", "target": "link_vectors/target", "similarity": "inner_product"}
        results.finish({"model": "m1", "search": ends} if links else {"model": "m1"})
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path / "run" / "infer", pa.array(NAMES))


@pytest.mark.parametrize("options", [[], ["type=hnsw"], ["type=ivf"]])
def test_nearest_by_cosine(results: Path, options: list[str]) -> None:
    line = make_index(results.parent, None, options, None, False, None, None, silent)
    folder = results.parent / "index" / "embeddings-thing"
    assert line.startswith(f"{folder}: 5 vectors of embeddings/thing")
    found = search_ids(folder, ["a", "c"], 2)
    assert found["id"].to_pylist() == ["b", "ä/é", "ä/é", "b"]  # never the query itself
    assert found["query"].to_pylist() == ["a", "a", "c", "c"]
    assert found["rank"].to_pylist() == [1, 2, 1, 2]
    cosine = float(POINTS[0] @ POINTS[1] / np.linalg.norm(POINTS[1]))
    assert found["score"][0].as_py() == pytest.approx(cosine)
    meta = json.loads((folder / "meta.json").read_text())
    assert (meta["model"], meta["similarity"]) == ("m1", "cosine")
    assert (meta["recall"] is None) == (not options)


def test_links_are_searched_from_their_sources(results: Path) -> None:
    target = results.parent / "links"
    make_index(results, target, [], None, True, None, None, silent)
    found = search_ids(target, ["a"], 2, results)
    assert found["id"].to_pylist() == ["d", "c"]  # inner products with (-1, 0): d 1, c 0
    assert search_ids(target, None, 1, results)["query"].to_pylist() == NAMES
    with pytest.raises(DataError, match=r"ids must be among its 5 \(got nobody\)"):
        search_ids(target, ["a", "nobody"], 2, results)


def test_integer_ids(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "infer", pa.array([7, 5, 3, 2**40, 1], pa.int64()))
    make_index(folder, tmp_path / "index", [], "thing", False, None, None, silent)
    assert search_ids(tmp_path / "index", ["7"], 1)["id"].to_pylist() == [5]
    with pytest.raises(DataError, match=r"ids must be of type int64"):
        search_ids(tmp_path / "index", ["x"], 1)
    with pytest.raises(DataError, match=r"ids must be among its 5 \(got 99\)\. An example: 7"):
        search_ids(tmp_path / "index", ["99"], 1)


def refused(results: Path, message: str, **changes: object) -> None:
    given = {"options": [], "node_type": None, "links": False, "similarity": None, "store": None, **changes}
    with pytest.raises((DataError, ConfigError), match=message):
        make_index(results, target=None, say=silent, **given)  # type: ignore[arg-type]
    assert not (results.parent / "index").exists()


def test_what_cannot_be_indexed(results: Path, tmp_path: Path) -> None:
    refused(
        results, r"unknown table of vectors 'embeddings/thin' .* Did you mean 'embeddings/thing'\?", node_type="thin"
    )
    refused(results, r"unknown similarity 'cos'", similarity="cos")
    refused(results, r"unknown store 'lanze' .* Did you mean 'lance'\?", store="lanze")
    refused(results, r"search\.probes: must be at most lists, 2 \(got 3\)", options=["type=ivf", "lists=2", "probes=3"])
    refused(results, r"search\.type: .*hnsw.*got 'hnws'", options=["type=hnws"])
    refused(tmp_path, r"must hold the results of inference")
    refused(
        write_results(tmp_path / "n" / "infer", pa.array(NAMES), links=False),
        r"must hold vectors to search links by",
        links=True,
    )


def test_damaged_index_is_named(results: Path) -> None:
    target = results.parent / "i"
    make_index(results, target, [], None, False, None, None, silent)
    vectors = np.load(target / "vectors.npy")
    np.save(target / "vectors.npy", vectors[::-1])
    with pytest.raises(DataError, match=r"vectors\.npy: must hold what was written into it"):
        IndexFolder(target)


def test_other_folders_are_not_overwritten(results: Path) -> None:
    (results.parent / "mine").mkdir()
    (results.parent / "mine" / "thesis.txt").write_text("years of work")
    for store in (None, "pgvector"):
        with pytest.raises(DataError, match=r"must be a .* folder or not exist yet"):
            make_index(results, results.parent / "mine", [], None, False, None, store, silent)
    assert (results.parent / "mine" / "thesis.txt").read_text() == "years of work"


def test_lance_and_pgvector(results: Path) -> None:
    lance = pytest.importorskip("lance")
    make_index(results, None, [], None, False, None, "lance", silent)
    table = lance.dataset(str(results.parent / "lance" / "embeddings-thing.lance")).to_table()
    assert table["id"].to_pylist() == NAMES
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), POINTS)
    make_index(results, None, [], None, False, None, "pgvector", silent)
    folder = results.parent / "pgvector" / "embeddings-thing"
    rows = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*.parquet")))
    assert rows["embedding"].to_pylist() == POINTS.tolist()
    assert 'TABLE "embeddings_thing" (id text PRIMARY KEY, embedding vector(2))' in (folder / "load.sql").read_text()


def test_commands(results: Path, output: Callable[..., str]) -> None:
    target = str(results.parent / "i")
    assert "5 vectors" in output("index", str(results), "-o", target)
    assert output("search", target, "a", "-k", "1") == "a: b 0.999\n"
    assert json.loads(output("search", target, "a", "-k", "1", "--json"))[0]["id"] == "b"


@pytest.fixture
def output() -> Callable[..., str]:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.stdout

    return run
