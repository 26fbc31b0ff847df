"""Wrong targets that the table of edges gives: ids -> positions in the graph folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gconstruct import build_graph
from gconstruct.construction import table_problems
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.verify import verify_graph

from .tables import graph, item, link, read, write

LINK = ("item", "link", "item")
ENDS = {"source": ["a", "b", "c", "a"], "target": ["b", "c", "d", "d"]}


def config(folder: Path, wrong: Any, file: str = "links.parquet", **options: Any) -> GraphConfig:
    """Edges a -> b, b -> c, c -> d, a -> d with these wrong targets."""
    write(folder / "items.parquet", id=["a", "b", "c", "d"])
    write(folder / file, **ENDS, wrong=wrong)
    chosen = {key: options.pop(key) for key in ("separator", "count") if key in options}
    return graph(folder, {"item": item()}, [link(files=file, hard_negatives={"column": "wrong", **chosen}, **options)])


def by_ends(folder: Path) -> dict[str, str]:
    """'ab' -> 'cd': the wrong targets of a -> b, and '-' for none, as ids."""
    opened = LocalGraph(folder)
    names = [*opened.ids("item").to_pylist(), "-"]
    source, target = opened.edges(LINK)
    wrong = opened.hard_negatives(LINK, np.arange(len(source)))
    ends = ["".join(names[i] for i in pair) for pair in zip(source, target, strict=True)]
    return dict(zip(ends, ("".join(names[i] for i in row) for row in wrong), strict=True))


EXPECTED = {"ab": "cd", "bc": "a-", "cd": "--", "ad": "ba"}


@pytest.mark.parametrize(
    ("wrong", "options"),
    [
        ([["c", "d"], ["a"], None, ["b", "a", "c"]], {"count": 2}),
        ([["c", None, "d"], ["a"], [], ["b", "a", "c"]], {"count": 2}),
        (["c; d", " a", None, "b;;a;c"], {"count": 2, "separator": ";"}),
    ],
    ids=["lists", "lists with nulls", "strings"],
)
def test_forms_of_the_column(wrong: Any, options: dict[str, Any], tmp_path: Path) -> None:
    manifest = build_graph(config(tmp_path, wrong, **options))
    assert by_ends(tmp_path / "out/graph") == EXPECTED
    assert [edge.hard_negatives for edge in manifest.edges] == [2, 0]
    table = read(tmp_path / "out/graph/part-0/edges/item--link--item.arrow")
    assert table.column("hard_negatives").type == pa.list_(pa.int32(), 2)
    reverse = read(tmp_path / "out/graph/part-0/edges/item--link_rev--item.arrow")
    assert "hard_negatives" not in reverse.column_names
    verify_graph(tmp_path / "out/graph", manifest)
    assert manifest.partitions[0].bytes == sum(p.stat().st_size for p in (tmp_path / "out/graph").rglob("*.arrow"))


def test_one_id_a_row_of_csv(tmp_path: Path) -> None:
    build_graph(config(tmp_path, ["c", "a", None, "b"], file="links.csv", count=1))
    assert by_ends(tmp_path / "out/graph") == {"ab": "c", "bc": "a", "cd": "-", "ad": "b"}


def test_integer_ids_and_nodes_of_edges_alone(tmp_path: Path) -> None:
    write(tmp_path / "links.parquet", source=[5, 7], target=[7, 9], wrong=[[9, 5], [5]])
    build_graph(graph(tmp_path, {"item": {}}, [link(hard_negatives={"column": "wrong", "count": 2})]))
    opened = LocalGraph(tmp_path / "out/graph")
    assert opened.ids("item").to_pylist() == [5, 7, 9]
    assert opened.hard_negatives(LINK, np.array([1, 0])).tolist() == [[0, -1], [2, 0]]


def test_partitions(tmp_path: Path) -> None:
    build_graph(config(tmp_path, ["c;d", "a", None, "b;a"], separator=";", count=2))
    partition_graph(tmp_path / "out/graph", tmp_path / "two", 2)
    assert by_ends(tmp_path / "two") == EXPECTED


def test_ids_that_no_node_has(tmp_path: Path) -> None:
    wrong = [["x", "d"], ["a"], ["y"], []]
    with pytest.raises(DataError) as err:
        build_graph(config(tmp_path, wrong))
    assert str(err.value) == (
        "graph.edges[0].hard_negatives: column 'wrong' must hold ids of nodes of type 'item' (got 'x'; 2 unknown "
        "ids in all). Correct the table, or set graph.edges[0].on_unknown_node: drop"
    )
    assert not (tmp_path / "out/graph").exists()
    manifest = build_graph(config(tmp_path, wrong, on_unknown_node="drop", count=1))
    assert by_ends(tmp_path / "out/graph") == {"ab": "d", "bc": "a", "cd": "-", "ad": "-"}
    assert manifest.dropped == {"edges.item:link:item.hard_negatives: unknown node": 2}


def test_columns_that_hold_no_ids(tmp_path: Path) -> None:
    [(key, message)] = table_problems(config(tmp_path, [1.5, 2.5, 3.5, 4.5]))
    assert key == "graph.edges[0].hard_negatives"
    assert "must hold string or integer ids, or lists of them (got double)" in message


def test_more_edges_for_a_graph_have_none(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    build_graph(config(tmp_path / "old", [["c"], [], [], []]))
    more = config(tmp_path, [["c"], [], [], []]).model_copy(update={"add_to": str(tmp_path / "old/out/graph")})
    assert any("hard_negatives: must be left out with graph.add_to" in message for _, message in table_problems(more))
