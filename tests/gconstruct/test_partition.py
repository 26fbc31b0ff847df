"""Partitioned graph folders hold the graph that they were made of, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph, fingerprint, is_current, partition
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.partitioners import MetisPartitions, RandomPartitions
from graphstorm_like.config.stitch import StitchConfig
from graphstorm_like.errors import ConfigError, DataError, MissingExtraError
from graphstorm_like.graph.schema import read_manifest

from .partitioning import (
    assert_same_graph,
    assert_whole,
    contents,
    differing_types,
    ids_of,
    joined,
    node_rows,
    random_config,
    random_graph,
)
from .tables import fail_at, read


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return random_graph(tmp_path / "tables", 3, items=20)


def left(folder: Path) -> list[str]:
    """What lies there, hidden entries too."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".checked")


# ------------------------------------------------------------------------------------------------------ what is written


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_partitions_are_the_graph_renumbered(seed: int, count: int, again: int, draw: int) -> None:
    """Of one partition, of several, and back into one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, after = random_graph(folder / "tables", seed), folder / "after"
        made = partition_graph(before, after, count, seed=draw)
        assert made == read_manifest(after)
        assert_same_graph(before, after, count)
        assert list(differing_types(after)) == []
        partition_graph(after, folder / "again", again, seed=draw + 1)
        assert_same_graph(after, folder / "again", again)
        assert_same_graph(before, folder / "again", again, ordered=False)


def test_one_partition_is_the_concatenation_of_several(source: Path, tmp_path: Path) -> None:
    """All numbers of the files are global ones, so nothing needs renumbering when partitions are put together."""
    partition_graph(source, tmp_path / "three", 3)
    partition_graph(tmp_path / "three", tmp_path / "one", 1)
    three, one = read_manifest(tmp_path / "three"), read_manifest(tmp_path / "one")
    files = {**one.partitions[0].node_files, **one.partitions[0].edge_files}
    for file in files.values():
        parts = [read(tmp_path / "three" / p.folder / file) for p in three.partitions]
        whole = read(tmp_path / "one" / "part-0" / file)
        assert str(joined([table.to_pylist() for table in parts])) == str(whole.to_pylist())
        assert whole.schema == parts[0].schema


def test_one_partition_of_one_is_the_same_files(source: Path, tmp_path: Path) -> None:
    made = partition_graph(source, tmp_path / "one", 1)
    assert made.hashes == read_manifest(source).hashes
    assert made.partitions[0].edge_ranges["item:link:item"] == (0, made.edge(("item", "link", "item")).count)


def test_more_partitions_than_nodes(tmp_path: Path) -> None:
    """Types are absent from partitions, which have their files all the same."""
    source = random_graph(tmp_path / "tables", 1, items=3)
    made = partition_graph(source, tmp_path / "many", 7)
    sizes = [p.node_ranges["item"][1] - p.node_ranges["item"][0] for p in made.partitions]
    assert sorted(sizes) == [0, 0, 0, 0, 1, 1, 1]
    assert_same_graph(source, tmp_path / "many", 7)


def test_twice_is_the_same_bytes_with_any_memory(source: Path, tmp_path: Path) -> None:
    partition_graph(source, tmp_path / "a", 3, seed=2)
    partition_graph(source, tmp_path / "b", 3, seed=2, memory=1)  # row by row, and columns go to disk
    partition_graph(source, tmp_path / "c", 3, seed=4)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_a_target_that_is_up_to_date_stays(source: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    target = tmp_path / "two"
    target.mkdir()
    made = partition_graph(source, target, 2, progress=lines.append)
    assert lines[0].startswith("partitioning ")
    assert lines[1].endswith("% of the edges have their source in their own partition")
    stamps = {p: p.stat().st_mtime_ns for p in target.rglob("*")}
    lines.clear()
    assert partition_graph(source, target, 2, progress=lines.append) == made
    assert lines == [f"{target} is up to date"]
    assert stamps == {p: p.stat().st_mtime_ns for p in target.rglob("*")}


# ---------------------------------------------------------------------------------------------------- whole, or absent


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("when", [1, 2, 4])
def test_nothing_is_left_when_writing_fails(
    error: type[BaseException], when: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(partition, when, error(), monkeypatch)
    with pytest.raises(error):
        partition_graph(source, tmp_path / "deep" / "two", 2)
    assert left(tmp_path) == ["tables"]


def test_an_error_of_the_disk_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(partition, 2, OSError(28, "No space left on device"), monkeypatch)
    target = tmp_path / "two"
    with pytest.raises(DataError) as caught:
        partition_graph(source, target, 2)
    assert str(caught.value) == (
        f"{target}: the graph folder must be writable (got No space left on device: {target}). "
        "Check the disk and its permissions, or name another target"
    )
    assert left(tmp_path) == ["tables"]


KILL = """
import os, signal, sys
from gconstruct import build_graph, partition
from graphstorm_like.config.graph import GraphConfig

calls, write = [], partition.write_columns


def killed(path, columns):
    calls.append(path)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, columns)


partition.write_columns = killed
if sys.argv[1] == "build":
    build_graph(GraphConfig.model_validate_json(sys.argv[2]))
else:
    partition.partition_graph(sys.argv[2], sys.argv[3], 2)
"""


def killed(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILL, *arguments], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_partitioning_leaves_no_target_and_the_next_one_tidies_up(source: Path, tmp_path: Path) -> None:
    killed("partition", str(source), str(tmp_path / "two"))
    assert [name[:9] for name in left(tmp_path)] == [".two.tmp-", "tables"]
    partition_graph(source, tmp_path / "two", 2)
    assert left(tmp_path) == ["tables", "two"]
    assert_same_graph(source, tmp_path / "two", 2)


def test_a_killed_construction_leaves_the_old_graph(tmp_path: Path) -> None:
    config = random_config(tmp_path, 3)
    old = build_graph(config)
    wanted = random_config(tmp_path, 3, partitions={"count": 2})
    _set_times(tmp_path)
    killed("build", wanted.model_dump_json())
    assert len(left(tmp_path / "out")) == 2
    assert read_manifest(str(config.path)) == old
    build_graph(wanted)
    assert left(tmp_path / "out") == ["graph"]


# -------------------------------------------------------------------------------------------------------- construction


def _set_times(folder: Path) -> None:
    """Tables that are written again are the same to the fingerprint."""
    for path in folder.glob("*.parquet"):
        os.utime(path, ns=(10**18, 10**18))


def test_graph_partitions_builds_that_many(tmp_path: Path) -> None:
    one = random_config(tmp_path, 4, items=15)
    _set_times(tmp_path)
    whole = build_graph(one)
    Path(str(one.path)).rename(tmp_path / "whole")
    wanted = GraphConfig.model_validate({**one.model_dump(mode="json"), "partitions": {"count": 3, "seed": 1}})
    made = build_graph(wanted)
    path = Path(str(wanted.path))
    assert left(path) == [
        "graph.json", "inputs.json", "leaks.json", "part-0", "part-1", "part-2", "report.html", "report.json",
    ]  # fmt: skip
    assert_same_graph(tmp_path / "whole", path, 3)
    assert_whole(path, made)
    assert made.fingerprint == fingerprint(wanted) != whole.fingerprint
    assert is_current(wanted)
    assert not is_current(one)
    other = GraphConfig.model_validate({**one.model_dump(mode="json"), "partitions": {"count": 3, "seed": 2}})
    assert not is_current(other)
    # The same as gsl partition makes of the whole one.
    partition_graph(tmp_path / "whole", tmp_path / "three", 3, seed=1)
    assert made.hashes == read_manifest(tmp_path / "three").hashes


def test_options_at_their_defaults_do_not_make_a_folder_out_of_date(tmp_path: Path) -> None:
    """Folders stay valid when a later version has more options; with one partition the method does not matter."""
    config = random_config(tmp_path, 4)
    spelled_out = GraphConfig.model_validate(config.model_dump())
    assert fingerprint(spelled_out) == fingerprint(config)
    metis = config.model_copy(update={"partitions": MetisPartitions(method="metis")})
    assert fingerprint(metis) == fingerprint(config)
    two = config.model_copy(update={"partitions": RandomPartitions(count=2)})
    assert fingerprint(two) != fingerprint(config)


def test_a_failed_partitioning_leaves_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = random_config(tmp_path, 3, partitions={"count": 2})
    fail_at(partition, 2, RuntimeError(), monkeypatch)
    with pytest.raises(RuntimeError):
        build_graph(config)
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------------------------ messages


def test_something_else_at_the_target_is_left_alone(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "two"
    partition_graph(source, target, 2)
    before = contents(target)
    file = tmp_path / "file"
    file.write_text("mine")
    for path, count in ((target, 3), (file, 2), (source.parent.parent, 2)):
        with pytest.raises((DataError, ConfigError)) as caught:
            partition_graph(source, path, count)
        assert str(path) in str(caught.value)
    with pytest.raises(DataError) as caught:
        partition_graph(source, target, 3)
    assert str(caught.value) == (
        f"{target}: the target must be an empty folder or not exist yet (got something that these partitions of this "
        "source are not). Remove it, or name another target"
    )
    assert contents(target) == before
    assert file.read_text() == "mine"


def test_the_target_is_neither_in_nor_around_the_source(source: Path) -> None:
    for target in (source, source / "two", source.parent):
        with pytest.raises(ConfigError, match="the target must be neither in nor around the source"):
            partition_graph(source, target, 2)


def test_values_that_are_wrong_are_all_told(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        partition_graph(source, tmp_path / "two", 0, "fennel", -1, options={"pases": 3, "balance": []})
    assert sorted(caught.value.problems) == [
        "partitions.balance: must have at least 1 entry (got [])",
        "partitions.count: must be greater than 0 (got 0)",
        "partitions.pases: unknown key for method fennel (known: method, count, seed, balance, slack, edge_slack, "
        "passes, gamma). Did you mean 'passes'?",
        "partitions.seed: must be at least 0 (got -1)",
    ]
    with pytest.raises(ConfigError) as caught:
        partition_graph(source, tmp_path / "two", 2, "meti")
    (problem,) = caught.value.problems
    assert problem.startswith("partitions.method: must be 'fennel', ")
    assert problem.endswith("(got 'meti'). Did you mean 'metis'?")


def test_a_source_that_is_no_graph_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a graph folder, but has no graph.json"):
        partition_graph(tmp_path / "none", tmp_path / "two", 2)
    assert left(tmp_path) == []


def test_a_broken_source_is_named_and_nothing_is_left(source: Path, tmp_path: Path) -> None:
    files = source / "part-0" / "edges"
    pointers = files / "item--link--item.indptr.arrow"
    whole = pointers.read_bytes()
    pointers.write_bytes((files / "item--has--tag.indptr.arrow").read_bytes())
    with pytest.raises(DataError, match=r"item--link--item.indptr.arrow: must hold .* Make the graph folder again"):
        partition_graph(source, tmp_path / "two", 2)
    pointers.write_bytes(whole[:-50])
    with pytest.raises(DataError, match=r"item--link--item.indptr.arrow: must hold what was written into it"):
        partition_graph(source, tmp_path / "two", 2)
    assert left(tmp_path) == ["tables"]


def test_metis_without_dgl_is_told_before_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dgl", None)  # as if it were not installed
    config = random_config(tmp_path / "other", 3, partitions={"count": 2, "method": "metis"})
    lines: list[str] = []
    for work in (
        lambda: partition_graph(source, tmp_path / "two", 2, "metis", progress=lines.append),
        lambda: build_graph(config, progress=lines.append),
    ):
        with pytest.raises(MissingExtraError) as caught:
            work()
        assert str(caught.value) == (
            "graph.partitions.method: metis needs the package 'dgl', which is not installed. "
            "Install it with: pip install 'graphstorm-like[dgl]'"
        )
    assert (left(tmp_path), lines) == (["other", "tables"], [])
    partition_graph(source, tmp_path / "one", 1, "metis")  # nothing to decide


def test_a_folder_that_is_there_is_not_partitioned_by_the_way(source: Path) -> None:
    with pytest.raises(ValueError, match="a graph folder that is there already is taken as it is"):
        GraphConfig.model_validate({"path": str(source), "partitions": {"count": 2}})
    assert GraphConfig.model_validate({"path": str(source), "partitions": {"count": 1}}).is_built


def test_ids_keep_their_type(source: Path, tmp_path: Path) -> None:
    partition_graph(source, tmp_path / "two", 2)
    assert all(isinstance(i, int) for i in ids_of(tmp_path / "two", "user"))
    assert len(node_rows(tmp_path / "two", "user")) == 2


def test_stitching_says_how_to_make_one_of_several(source: Path, tmp_path: Path) -> None:
    from gconstruct.stitching.run import Stitching

    partition_graph(source, tmp_path / "two", 2)
    graphs = {"application": str(tmp_path / "two"), "corpus": str(source), "output": str(tmp_path / "out")}
    config = StitchConfig.model_validate({**graphs, "align": {"item": {"corpus": "item"}}})
    with pytest.raises(DataError) as caught:
        Stitching(config, print)
    assert str(caught.value) == (
        f"{tmp_path / 'two'}: must have one partition (got 2). "
        f"Make one of them with: gsl partition {tmp_path / 'two'} NEW_FOLDER --count 1"
    )
