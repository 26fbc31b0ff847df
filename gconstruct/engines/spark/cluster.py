"""Work on pieces of a table, and the exchange of rows between executors.

A stage is `stage(number, incoming) -> (key, value) pairs`, a module's function that runs once per piece or bucket: its
number, and an iterator of the pairs that were sent to it. A key is a tuple whose first item is the number of the
receiver; the others give an order. The receiver after the last one gets the Reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from gconstruct.engines.spark.report import Report
from graphstorm_like import errors
from graphstorm_like.errors import GslError, LaunchError

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

    Rows: TypeAlias = RDD[Any]
    """Pairs, in the order of their partitions"""

Key = tuple[int, ...]
Pair = tuple[Key, Any]
Stage = Callable[[int, Iterator[Pair]], Iterable[Pair]]
FAN_IN = 16
"""Statistics that one task merges"""
LAST = -1
"""The receiver of reports, which comes after all others"""
_MARK = "graphstorm-like error: "
_CAUSE = re.compile(r"[\w.]+(Error|Exception|Interrupt)\b.*")


class Cluster:
    """The executors of one Spark context."""

    def __init__(self, context: SparkContext) -> None:
        self.context = context

    @property
    def parallelism(self) -> int:
        """Tasks that run at one time."""
        return max(1, int(self.context.defaultParallelism))

    def over(self, count: int, stage: Stage) -> Rows:
        """Run a stage for the numbers 0..count-1, with nothing sent to it."""
        return self.run(self.context.parallelize([], count), stage)

    def run(self, rows: Rows, stage: Stage) -> Rows:
        """Run a stage where rows were sent to."""
        return rows.mapPartitionsWithIndex(partial(_guarded, stage))

    def send(self, rows: Rows, receivers: int, *, in_order: bool = False) -> Rows:
        """Send every pair to its receiver. in_order: each receiver gets them by key, sorted with bounded memory."""
        if in_order:
            return rows.repartitionAndSortWithinPartitions(receivers + 1, receiver)
        return rows.partitionBy(receivers + 1, receiver)

    def together(self, *rows: Rows) -> Rows:
        """What was sent to the same receivers; the pairs of the first come first. Nothing moves."""
        first, *others = rows
        for other in others:
            joined = first.union(other)
            assert joined.getNumPartitions() == first.getNumPartitions()
            first = joined
        return first

    def report(self, sent: Rows) -> Report:
        """Run what was sent so far, and get the reports among it, in the order of their keys."""
        last = sent.getNumPartitions() - 1
        (pair,) = self._job(self.run(sent, _reports), [last])
        report: Report = pair[1]
        return report

    def empty(self, receivers: int) -> Rows:
        """What was sent when nothing was."""
        return self.send(self.context.parallelize([], 1), receivers)

    def collect(self, rows: Rows) -> list[Any]:
        """The values of all pairs, which must be few and small."""
        return self._job(rows.map(_value), None)

    def merged(self, rows: Rows, count: int, merge: Callable[[Any, Any], Any]) -> tuple[Rows, Report]:
        """One pair with the merged values of the keys (0,) .. (count - 1,), in their order, and the report. A tree of
        tasks merges them, so that no process holds more than FAN_IN of them."""
        report = None
        while report is None or count > 1:
            groups = -(-count // FAN_IN)
            sent = self.send(self.run(rows, _to_group), groups)
            report = report or self.report(sent)
            rows, count = self.run(sent, partial(_merge_group, merge)), groups
        return rows, report

    def _job(self, rows: Rows, partitions: Sequence[int] | None) -> list[Any]:
        try:
            return list(self.context.runJob(rows, list, partitions))
        except Exception as err:
            raise _as_ours(err) from None


def receiver(key: Key) -> int:
    """The number of the receiver of a pair, which Spark takes modulo their number."""
    return key[0]


def _value(pair: Pair) -> Any:
    return pair[1]


def _guarded(stage: Stage, number: int, incoming: Iterator[Pair]) -> Iterator[Any]:
    """Our errors pass through Java as text: mark them, so that the driver can raise them again. Spark ends a Python
    process that has not read everything it was sent; the next one would import everything again, which takes 2 s."""
    try:
        yield from stage(number, incoming)
        for _ in incoming:
            pass
    except GslError as err:
        raise RuntimeError(_MARK + json.dumps([type(err).__name__, str(err)])) from None


def _as_ours(err: Exception) -> Exception:
    text = str(err)
    start = text.find(_MARK)
    if start >= 0:
        (name, message), _ = json.JSONDecoder().raw_decode(text[start + len(_MARK) :])
        kind = getattr(errors, name, LaunchError)
        ours: Exception = kind.__new__(kind)
        ours.args = (message,)
        return ours
    lines = [line.strip() for line in text.splitlines()]
    lines = lines[: next((n for n, line in enumerate(lines) if line.startswith("at ")), None)]  # without Java's stack
    missing = [line for line in lines if line.startswith(("ModuleNotFoundError", "ImportError"))]
    if missing:
        return LaunchError(
            f"graph.spark: the Python of Spark's executors must have the packages that tables are read with "
            f"(got {missing[0]}). Install graphstorm-like there, or give executors a packed environment: see "
            "docs/guide/spark.md"
        )
    causes = [line for line in lines if _CAUSE.match(line)]
    reason = causes[-1] if causes else lines[0]
    return LaunchError(f"graph.engine: spark: every task must succeed (got {reason}). See the log of Spark's executors")


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs by their keys: what is sent arrives in any order."""
    return sorted(pairs, key=_key)


def _key(pair: Pair) -> Key:
    return pair[0]


def merged_reports(incoming: Iterable[Pair]) -> Pair:
    """(LAST,) -> the reports of all pieces in one"""
    whole = Report()
    for _, report in in_order(incoming):
        whole.add(report)
    return (LAST,), whole


def _reports(number: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
    yield merged_reports(incoming)


def _to_group(number: int, incoming: Iterator[Pair]) -> Iterator[Pair]:
    for key, value in incoming:
        yield key if key[0] == LAST else (key[0] // FAN_IN, key[0]), value


def _merge_group(merge: Callable[[Any, Any], Any], number: int, incoming: Iterable[Pair]) -> Iterator[Pair]:
    values = [value for _, value in in_order(incoming) if not isinstance(value, Report)]
    if not values:  # the receiver of reports
        return
    whole = values[0]
    for value in values[1:]:
        whole = merge(whole, value)
    yield (number,), whole
