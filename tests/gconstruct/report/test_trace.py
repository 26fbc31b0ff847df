"""The record that construction keeps: what adds up, what stays, and that the engine fills it."""

from __future__ import annotations

import pickle
import time
from contextlib import suppress
from pathlib import Path

from gconstruct.engines import engine_for
from gconstruct.report.trace import KEPT_EXAMPLES, Example, Trace

from ..tables import graph, item, link, write


def example(row: int) -> Example:
    return Example("items.parquet", row, "null")


def test_counts_add_up_and_the_first_examples_stay() -> None:
    trace = Trace()
    trace.dropped("nodes.item", "null id", 0, [])
    assert trace.dropped_rows == {}
    trace.dropped("nodes.item", "null id", 3, [example(n) for n in range(3)])
    trace.dropped("nodes.item", "null id", 4, [example(n) for n in range(3, 7)])
    dropped = trace.dropped_rows["nodes.item"]["null id"]
    assert dropped.count == 7
    assert dropped.examples == [example(n) for n in range(KEPT_EXAMPLES)]


def test_what_other_processes_find_is_merged() -> None:
    traces = [Trace(), Trace()]
    for n, trace in enumerate(traces):
        trace.table("nodes.item", files=1, rows=10, size=100)
        trace.nulls("nodes.item", "price", n + 1)
        trace.dropped("nodes.item", "null id", 4, [example(10 * n + row) for row in range(4)])
    first, second = pickle.loads(pickle.dumps(traces))
    first.merge(second)
    read = first.tables["nodes.item"]
    assert (read.files, read.rows, read.bytes) == (2, 20, 200)
    assert first.null_counts == {"nodes.item": {"price": 3}}
    dropped = first.dropped_rows["nodes.item"]["null id"]
    assert (dropped.count, [e.row for e in dropped.examples]) == (8, [0, 1, 2, 3, 10])
    assert [e.row for e in second.dropped_rows["nodes.item"]["null id"].examples] == [10, 11, 12, 13]


def test_steps_know_their_time_and_memory() -> None:
    trace = Trace()
    with trace.step("outer"):
        with trace.step("inner") as step:
            held = bytearray(64 << 20)
            time.sleep(0.02)
            step.rows = len(held)
        del held
    outer, inner = trace.steps
    assert (outer.name, outer.depth, inner.name, inner.depth) == ("outer", 0, "inner", 1)
    assert outer.seconds >= inner.seconds >= 0.02
    assert outer.peak_bytes >= inner.peak_bytes >= 64 << 20
    assert inner.rows == 64 << 20


def test_progress_ends_once_and_only_when_it_began() -> None:
    seen: list[tuple[str, int, int]] = []
    trace = Trace(follow=lambda *now: seen.append(now))
    with trace.step("silent"):
        pass
    with suppress(KeyError), trace.step("nodes.item") as step:
        step.advance(5, 10)
        step.advance(10, 10)
        raise KeyError
    assert seen == [("nodes.item", 5, 10), ("nodes.item", 9, 10), ("nodes.item", 10, 10)]
    assert trace.steps[1].seconds > 0
    with trace.step("next"):
        assert trace.steps[2].depth == 0


def test_the_engine_records_what_it_leaves_out(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", None, "b", "a"], price=[1.0, 2.0, None, 3.0])
    write(tmp_path / "links.parquet", source=["a", "b", None, "z"], target=["b", "z", "a", "y"])
    features = {"price": {"column": "price", "missing": "mean"}}
    config = graph(
        tmp_path,
        {"item": item(on_bad_id="skip", features=features)},
        [link(on_bad_id="skip", on_unknown_node="drop", reverse=False)],
    )
    engine, trace = engine_for(config, lambda _: None), Trace()
    engine.check()
    folder = tmp_path / "new"
    folder.mkdir()
    made = engine.run(folder, trace)
    items, links = str(tmp_path / "items.parquet"), str(tmp_path / "links.parquet")
    assert trace.dropped_rows["nodes.item"]["null id"].examples == [Example(items, 2, "null")]
    assert trace.dropped_rows["nodes.item"]["repeated id"].examples == [Example(items, 4, "'a'")]
    edges = trace.dropped_rows["edges.item:link:item"]
    assert edges["null end"].examples == [Example(links, 3, "null, 'a'")]
    assert edges["unknown node"].examples == [Example(links, 2, "'b', 'z'"), Example(links, 4, "'z', 'y'")]
    counts = {f"{key}: {r}": d.count for key, reasons in trace.dropped_rows.items() for r, d in reasons.items()}
    assert counts == made.dropped
    assert trace.null_counts["nodes.item"] == {"id": 1, "price": 1}
    assert trace.tables["nodes.item"].rows == 4
    assert [(step.name, step.rows) for step in trace.steps] == [("nodes.item", 2), ("edges.item:link:item", 1)]
