"""Splits that files with ids name."""

from __future__ import annotations

import gzip
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph, is_current
from gconstruct.encoding.splits import SplitEncoder, SplitPlace
from gconstruct.problems import Problems
from gconstruct.splits import ids as ids_module
from graphstorm_like.config.splits import SplitConfig

from ..tables import graph, item, link, read, write
from .pieces import EDGES, NODES, cut, split, strings

ROWS = pa.table({"id": strings(["a", "b", "c", "d", "7"])})
LISTS = {"train": ["a", "d"], "valid": ["b"], "test": ["c"]}
PAIRS = {"train": [["a", "b"], ["b", "a"]], "valid": [["c", "1"]], "test": [["c", "2"]]}
LINKS = pa.table({"source": strings("abccd"), "target": strings("ba12d")})


def write_list(folder: Path, name: str, ids: list[Any], ending: str) -> str:
    """A file with ids, or with pairs of them."""
    path, pairs = folder / f"{name}{ending}", [one if isinstance(one, list) else [one] for one in ids]
    columns = {f"c{i}": [pair[i] for pair in pairs] for i in range(len(pairs[0]))}
    if ending == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif ending in (".csv", ".tsv"):
        separator = "," if ending == ".csv" else "\t"
        path.write_text("\n".join(separator.join(line) for line in [list(columns), *pairs]))
    elif ending == ".json":
        path.write_text(json.dumps(ids))
    elif ending == ".jsonl":
        lines = [dict(zip(columns, pair, strict=True)) for pair in pairs]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        text = "".join("\t".join(pair) + "\n" for pair in pairs)
        (path.write_bytes(gzip.compress(text.encode())) if ending == ".gz" else path.write_text(text))
    return path.name


def config_of(folder: Path, lists: dict[str, list[Any]], ending: str = ".txt", **more: Any) -> dict[str, Any]:
    return {**{part: write_list(folder, part, ids, ending) for part, ids in lists.items()}, **more}


@pytest.mark.known_answer("splits/ids")
@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv", ".json", ".jsonl", ".txt", ".gz", ""])
@pytest.mark.parametrize("cuts", [(), (1, 1, 3)])
def test_lists_of_nodes_and_of_edges(ending: str, cuts: tuple[int, ...], tmp_path: Path) -> None:
    found = split(config_of(tmp_path, LISTS, ending), cut(ROWS, cuts), base=str(tmp_path))
    assert found is not None
    assert found.tolist() == [1, 2, 3, 1, 0]
    found = split(config_of(tmp_path, PAIRS, ending), cut(LINKS, cuts), of=EDGES, base=str(tmp_path))
    assert found is not None
    assert found.tolist() == [1, 1, 2, 3, 0]


def test_without_a_list_for_training_the_rest_is_for_training(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"valid": ["b"], "test": ["c"]})
    assert split(config, cut(ROWS), base=str(tmp_path)).tolist() == [1, 2, 3, 1, 1]  # type: ignore[union-attr]


def test_integers_are_compared_with_ids_by_their_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": pa.array([7], pa.int32())}), tmp_path / "seven.parquet")
    config = {"valid": write_list(tmp_path, "v", ["b"], ".txt"), "test": "seven.parquet"}
    assert split(config, cut(ROWS), base=str(tmp_path)).tolist() == [1, 2, 1, 1, 3]  # type: ignore[union-attr]
    (tmp_path / "seven.json").write_text("[7]")
    config["test"] = "seven.json"
    assert split(config, cut(ROWS), base=str(tmp_path)).tolist() == [1, 2, 1, 1, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_columns_may_be_named(ending: str, tmp_path: Path) -> None:
    table = {"why": ["x", "y"], "node": ["b", "c"]}
    if ending == ".jsonl":
        lines = [json.dumps({key: values[i] for key, values in table.items()}) for i in range(2)]
        (tmp_path / "v.jsonl").write_text("\n".join(lines))
    else:
        write(tmp_path / f"v{ending}", **table)
    config = {"valid": f"v{ending}", "test": write_list(tmp_path, "t", ["a"], ".txt"), "columns": "node"}
    assert split(config, cut(ROWS), base=str(tmp_path)).tolist() == [3, 2, 2, 1, 1]  # type: ignore[union-attr]


def problems_of(config: dict[str, Any], folder: Path, **more: Any) -> list[str]:
    problems = Problems()
    assert split(config, cut(ROWS, (2,)), problems, base=str(folder), **more) is None
    return [message.replace(f"{folder}/", "") for message in problems.messages]


def test_ids_that_the_table_lacks(tmp_path: Path) -> None:
    config = config_of(tmp_path, {**LISTS, "test": ["c", "x", "y"]})
    assert problems_of(config, tmp_path) == [
        "graph.nodes.item.labels.y.split.test: must name rows of items.csv (got 2 unknown ids, e.g. 'x', 'y'). Correct "
        "the list, or set graph.nodes.item.labels.y.split.on_unknown_id: skip"
    ]
    found = split({**config, "on_unknown_id": "skip"}, cut(ROWS), base=str(tmp_path))
    assert found is not None
    assert found.tolist() == [1, 2, 3, 1, 0]


def test_an_id_in_two_lists(tmp_path: Path) -> None:
    assert problems_of(config_of(tmp_path, {**LISTS, "test": ["c", "a"]}), tmp_path) == [
        "graph.nodes.item.labels.y.split: each id must be in one split (got 1 id in both train and test, e.g. 'a'). "
        "Remove them from one of the lists"
    ]


@pytest.mark.parametrize("test", [["c"], ["c", "a"]])
def test_threads_read_the_files_once_and_all_of_them_report(
    test: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def counted(*args: Any) -> Any:
        reads.append(args[3])
        return read_ids(*args)

    read_ids = ids_module.read_ids
    monkeypatch.setattr(ids_module, "read_ids", counted)
    config = SplitConfig.model_validate(config_of(tmp_path, {**LISTS, "test": test}))
    encoder = SplitEncoder(config, SplitPlace(NODES, "graph.nodes.item.split", str(tmp_path)))
    encoder = pickle.loads(pickle.dumps(encoder))

    def fit(piece: Any) -> tuple[Any, list[str]]:
        problems = Problems()
        return encoder.fit(piece, problems), problems.messages

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(fit, cut(ROWS, (1, 2, 3, 4))))
    is_good = test == ["c"]
    assert [(found is not None, len(messages)) for found, messages in results] == [(is_good, int(not is_good))] * 5
    of_message = [] if is_good else ["graph.nodes.item.split.test"]  # examples are read from the list again
    assert reads == [f"graph.nodes.item.split.{part}" for part in LISTS] + of_message
    assert pickle.loads(pickle.dumps(encoder)).fit(cut(ROWS)[0], Problems()) is not None or not is_good


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("v.json", '{"a": 1}', "be a list of ids in JSON (got {'a': 1})"),
        ("v.json", "[1.5]", "hold an id, a string or an integer, in every entry (got 1.5)"),
        ("v.csv", "id\nb\n\n", None),
        ("v.json", "[", "be a list of ids that can be read (got: Expecting value: line 1 column 2 (char 1))"),
        ("v.txt", b"\xff", "be a list of ids that can be read (got: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_files_that_are_no_lists(name: str, content: str | bytes, rule: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    config = {"valid": name, "test": write_list(tmp_path, "t", ["a"], ".txt")}
    if rule is None:
        assert split(config, cut(ROWS), base=str(tmp_path)) is not None
    else:
        assert problems_of(config, tmp_path)[0].startswith(f"{name}: must {rule}")


def test_pairs_that_are_none(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"valid": ["a"], "test": ["b"]})
    assert problems_of(config, tmp_path, of=EDGES)[0].startswith(
        "valid.txt: must hold two ids with a tab between them in every line (got 'a' in line 1)"
    )


def test_files_that_are_missing_or_have_other_columns(tmp_path: Path) -> None:
    write(tmp_path / "v.parquet", node=["b"])
    config = {"valid": "v.parquet", "test": "none.txt", "columns": "nod"}
    assert problems_of(config, tmp_path) == [
        "v.parquet: must have the columns that are named (unknown column 'nod' (known: node). Did you mean "
        "'node'?). See graph.nodes.item.labels.y.split.valid",
        "graph.nodes.item.labels.y.split.test: none.txt must be a file, glob or folder that exists (got nothing there)"
        ". Check the path; relative ones start at graph.base",
    ]


def test_a_graph_is_of_its_lists_too(tmp_path: Path) -> None:
    """A list that changes makes the graph again; a list may name nodes by their integer ids."""
    write(tmp_path / "items.parquet", id=[1, 2, 3], y=["a", "b", "a"])
    write(tmp_path / "links.parquet", source=[1, 2, 3], target=[2, 3, 1])
    (tmp_path / "held-out").mkdir()
    for name, text in {"v.txt": "1\n", "t.txt": "3\n", "held-out/v": "2\t3\n", "held-out/t": "3\t1\n"}.items():
        (tmp_path / name).write_text(text)
    labels = {"y": {"column": "y", "split": {"valid": "v.txt", "test": "t.txt"}}}
    edges = [link(split={"valid": "held-out/v", "test": "held-out/t"})]
    config = graph(tmp_path, {"item": item(labels=labels)}, edges)
    build_graph(config)
    nodes = read(tmp_path / "out/graph/part-0/nodes/item.arrow")
    assert nodes.column("split:y").to_pylist() == [2, 1, 3]
    made = read(tmp_path / "out/graph/part-0/edges/item--link--item.arrow").to_pydict()
    assert dict(zip(made["source"], made["split"], strict=True)) == {0: 1, 1: 2, 2: 3}
    assert is_current(config)
    (tmp_path / "t.txt").write_text("2\n")
    assert not is_current(config)
    (tmp_path / "t.txt").unlink()
    assert not is_current(config)
