"""Stitching again, with broken inputs, and interrupted: nothing is done twice, lost or half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gconstruct.partition import partition_graph
from gconstruct.stitching import read_report, stitch
from gconstruct.stitching import run as module
from graphstorm_like.errors import ConfigError, DataError

from .stitching import (
    OUT,
    application,
    assert_whole,
    config,
    corpus,
    ids,
)


def test_a_second_run_does_nothing(both: Path) -> None:
    lines: list[str] = []
    manifest = stitch(config(both), progress=lines.append)
    assert lines[0] == "item: 3 of 4 nodes aligned with package (75.0%), 0 ambiguous"
    assert "2 corpus edges left out for repeating held-out edges" in lines
    assert "corpus_package: 2 nodes added" in lines
    assert "item:corpus_depends:corpus_package: 1 edge added" in lines
    stamp = (both / OUT / "graph.json").stat().st_mtime_ns
    assert stitch(config(both), progress=lines.append) == manifest
    assert lines[-1] == f"{both / OUT} is up to date"
    assert (both / OUT / "graph.json").stat().st_mtime_ns == stamp


def test_the_report_goes_into_partitions(both: Path) -> None:
    stitch(config(both))
    partition_graph(both / OUT, both / "in-two", 2)
    assert read_report(both / "in-two") == read_report(both / OUT)
    with pytest.raises(DataError, match=r"in-two: output must be a stitched graph folder or not exist yet"):
        stitch(config(both, output="in-two"))
    assert read_report(both / "in-two") == read_report(both / OUT)


def test_what_makes_it_stale(both: Path) -> None:
    mark = stitch(config(both)).fingerprint
    moved = config(both, output="elsewhere/graph")
    assert stitch(moved).fingerprint == mark
    assert stitch(config(both, hops=2)).fingerprint != mark
    assert stitch(config(both)).fingerprint == mark
    (both / OUT / "part-0/nodes/item.arrow").unlink()
    stitch(config(both))
    assert_whole(both / "app/graph", both / OUT)
    corpus_again = both / "corpus"
    for path in corpus_again.glob("*.*"):
        path.unlink()
    (both / "old").mkdir()
    corpus_again.rename(both / "old" / "corpus")
    corpus(both / "corpus", depends=[("a", "s")])
    assert stitch(config(both)).fingerprint != mark
    assert ids(both / OUT)["corpus_package"] == ["s"]


def entries(folder: Path) -> list[Path]:
    """All that is there, but for the notes of which graph files have been looked at."""
    return sorted(path for path in folder.rglob("*") if path.suffix != ".checked")


BROKEN: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"align": {"itm": {"corpus": "pakage"}}, "edge_types": ["package:depend:package"], "leave_out": ["a:b:c"]},
        ConfigError,
        "4 problems in the configuration:\n"
        "align.itm: unknown node type of the application 'itm' (known: item). Did you mean 'item'?\n"
        "align.itm.corpus: unknown node type of the corpus 'pakage' (known: package, person). Did you mean 'package'?\n"
        "edge_types[0]: unknown edge type of the corpus 'package:depend:package' (known: package:depends:package, "
        "package:depends_rev:package, person:keeps:package). Did you mean 'package:depends:package'?\n"
        "leave_out[0]: unknown edge type of the corpus 'a:b:c' (known: package:depends:package, "
        "package:depends_rev:package, person:keeps:package).",
    ),
    (
        {"align": {"item": {"corpus": "person", "application_key": "nam", "corpus_key": "name"}}},
        ConfigError,
        "2 problems in the configuration:\n"
        "align.item.application_key: unknown text 'nam' (known: name). Did you mean 'name'?\n"
        "align.item.corpus_key: unknown text 'name' (known: none).",
    ),
    (
        {"align": {"item": {"corpus": "package", "application_key": "name"}}},
        DataError,
        "align.item: at least one node must align with a corpus node of type 'package' (got none of 4, 0 ambiguous; "
        "keys are e.g. 'n-a' in item and 's' in package). Name texts that hold equal keys in application_key and "
        "corpus_key",
    ),
    (
        {"leave_out": ["package:depends:package"], "edge_types": ["package:depends:package"]},
        ConfigError,
        "edge_types, leave_out: must leave at least one corpus edge type (got none of package:depends:package, "
        "package:depends_rev:package, person:keeps:package)",
    ),
    (
        {"output": "app/graph/part-0"},
        ConfigError,
        "output: must be neither in nor around the folder application (got {here}/app/graph/part-0). "
        "Name another folder",
    ),
    (
        {"output": "corpus"},
        ConfigError,
        "output: must be neither in nor around the folder corpus (got {here}/corpus). Name another folder",
    ),
    (
        {"corpus": "nowhere"},
        DataError,
        "{here}/nowhere: must be a graph folder, but has no graph.json. Make one with: gsl construct",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken(both: Path, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    before = entries(both)
    with pytest.raises(error) as caught:
        stitch(config(both, **changes))
    assert str(caught.value) == message.replace("{here}", str(both))
    assert entries(both) == before


def test_node_types_that_clash(both: Path) -> None:
    """An application that was stitched before has all the names of this corpus."""
    stitch(config(both, output="first"))
    again = {"application": "first", "align": {"item": {"corpus": "package"}}}
    with pytest.raises(ConfigError) as caught:
        stitch(config(both, **again))
    assert str(caught.value) == (
        "prefix: must make new node types (got 'corpus_package' for the corpus's 'package', which the application has "
        "already). Choose another prefix than 'corpus_'"
    )
    assert not (both / "out").exists()
    manifest = stitch(config(both, **again, prefix="more_"))
    assert list(manifest.nodes) == ["item", "corpus_package", "corpus_person", "more_package", "more_person"]


def test_edge_types_that_clash(tmp_path: Path) -> None:
    application(tmp_path / "app")
    corpus(tmp_path / "corpus", depends=[("a", "c")], keeps=[])
    stitch(config(tmp_path, output="first"))
    with pytest.raises(ConfigError) as caught:
        stitch(config(tmp_path, application="first"))
    assert str(caught.value) == (
        "prefix: must make new edge types (got 'item:corpus_depends:item', which the application has already). "
        "Choose another prefix than 'corpus_'"
    )
    assert not (tmp_path / "out").exists()


def test_a_constructed_graph_is_never_overwritten(both: Path) -> None:
    application(both / "other")
    before = json.loads((both / "other/graph/graph.json").read_text())
    with pytest.raises(DataError) as caught:
        stitch(config(both, output="other/graph"))
    assert str(caught.value) == (
        f"{both}/other/graph: output must be a stitched graph folder or not exist yet (got something else there). "
        "It would be overwritten: remove it, or set output to another folder"
    )
    assert json.loads((both / "other/graph/graph.json").read_text()) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_when_writing_fails(
    both: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = entries(both)
    calls = iter(range(100))

    def fail(*arguments: Any) -> int:
        if next(calls) == 3:
            raise error
        return write_columns(*arguments)

    write_columns = module.write_columns
    monkeypatch.setattr(module, "write_columns", fail)
    with pytest.raises(error):
        stitch(config(both))
    assert entries(both) == before


def test_a_damaged_graph_is_named(both: Path) -> None:
    path = both / "corpus/graph/part-0/edges/package--depends--package.arrow"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"depends--package\.arrow: must hold what was written into it"):
        stitch(config(both))
    assert not (both / "out").exists()
