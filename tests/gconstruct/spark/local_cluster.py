"""The jobs of the Spark engine without Spark: everything is pickled on its way, and arrives in another order."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from gconstruct.engines.spark import cluster as real
from gconstruct.engines.spark import engine, pieces
from gconstruct.engines.spark.cluster import Pair, Stage
from gconstruct.engines.spark.report import Report

Rows = Callable[[], list[list[Pair]]]
"""Gives the pairs of each partition; like Spark it does the work again whenever it is asked."""


class LocalCluster(real.Cluster):
    """What Cluster does, in this process."""

    parallelism = 3

    def __init__(self, context: Any = None) -> None:
        self._random = random.Random(0)

    def over(self, count: int, stage: Stage) -> Any:
        return self.run(lambda: [[] for _ in range(count)], stage)

    def run(self, rows: Any, stage: Stage) -> Any:
        sent_stage = pickle.dumps(stage)

        def pairs() -> list[list[Pair]]:
            run_there = pickle.loads(sent_stage)
            return [list(run_there(number, iter(incoming))) for number, incoming in enumerate(rows())]

        return pairs

    def send(self, rows: Any, receivers: int, *, in_order: bool = False) -> Any:
        kept: list[list[list[Pair]]] = []

        def pairs() -> list[list[Pair]]:
            if not kept:  # Spark keeps what was sent, too
                by_receiver: list[list[Pair]] = [[] for _ in range(receivers + 1)]
                for key, value in (pair for partition in rows() for pair in partition):
                    by_receiver[real.receiver(key) % (receivers + 1)].append((key, pickle.loads(pickle.dumps(value))))
                for partition in by_receiver:
                    self._random.shuffle(partition)
                    if in_order:
                        partition.sort(key=lambda pair: pair[0])
                kept.append(by_receiver)
            return [list(partition) for partition in kept[0]]

        return pairs

    def together(self, *rows: Any) -> Any:
        def pairs() -> list[list[Pair]]:
            return [[pair for part in parts for pair in part] for parts in zip(*(r() for r in rows), strict=True)]

        return pairs

    def empty(self, receivers: int) -> Any:
        return lambda: [[] for _ in range(receivers + 1)]

    def report(self, sent: Any) -> Report:
        last = real.merged_reports(sent()[-1])[1]
        assert isinstance(last, Report)
        return last

    def collect(self, rows: Any) -> list[Any]:
        return [value for partition in rows() for _, value in partition]


@contextmanager
def no_spark(config: Any) -> Iterator[Any]:
    """Instead of a context."""
    yield SimpleNamespace(version="none", master="this process")


def use(monkeypatch: pytest.MonkeyPatch, work_bytes: int = 1, packages: Sequence[str] = ()) -> None:
    """Let `graph.engine: spark` run here, with one piece a file."""
    monkeypatch.setattr(engine, "spark_context", no_spark)
    monkeypatch.setattr(engine, "Cluster", LocalCluster)
    monkeypatch.setattr(pieces, "WORK_BYTES", work_bytes)
