"""Splits by time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.problems import Problems

from .pieces import cut, split, strings

POINTS = {"column": "t", "valid_from": "2024-02-01", "test_from": "2024-03-01"}
HALVES = {"by": "time", "column": "t", "train": 0.5, "valid": 0.25, "test": 0.25}


def rows(times: pa.Array) -> pa.Table:
    return pa.table({"id": strings(range(len(times))), "t": times})


def found(config: dict[str, Any], times: pa.Array, cuts: tuple[int, ...] = ()) -> list[int]:
    splits = split(config, cut(rows(times), cuts))
    assert splits is not None
    return list(splits.tolist())


DAYS = [date(2024, 1, 31), date(2024, 2, 1), None, date(2024, 2, 29), date(2024, 3, 1)]
EAST = timezone(timedelta(hours=2))


@pytest.mark.known_answer("splits/time")
@pytest.mark.parametrize(
    "times",
    [
        pa.array(DAYS, pa.date32()),
        pa.array(DAYS, pa.date64()),
        pa.array([None if d is None else datetime(d.year, d.month, d.day) for d in DAYS], pa.timestamp("ns")),
        pa.array([None if d is None else datetime(d.year, d.month, d.day) for d in DAYS], pa.timestamp("s")),
        strings([None if d is None else d.isoformat() for d in DAYS]),
        strings(["2024-01-31 23:59:59.9999999", " 2024-02-01 ", None, "2024-02-29T12:00", "2024-03-01T00:00:00Z"]),
        strings(["2024-02-01T01:00:00+02:00", "2024-01-31T23:00:00-0100", None, "2024-02-29", "2024-03-01"]),
        pa.array(
            [
                datetime(2024, 2, 1, 1, tzinfo=EAST),
                datetime(2024, 2, 1, 2, tzinfo=EAST),
                None,
                datetime(2024, 2, 2, tzinfo=UTC),
                datetime(2024, 3, 1, tzinfo=UTC),
            ],
            pa.timestamp("us", tz="Europe/Helsinki"),
        ),
    ],
    ids=["date32", "date64", "ns", "s", "text of dates", "text of times", "text with zones", "zone"],
)
def test_cut_points(times: pa.Array) -> None:
    assert found(POINTS, times) == [1, 2, 0, 2, 3]
    assert found(POINTS, times, (1, 2)) == [1, 2, 0, 2, 3]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([2019, 2020, None, 2021, 2030], pa.int64()),
        pa.array([2019.9, 2020.0, float("nan"), 2020.5, 2021.5], pa.float32()),
        strings(["2019", "2020.5", None, "2e3", "1e4"]),
    ],
)
def test_cut_points_that_are_numbers(times: pa.Array) -> None:
    splits = found({"column": "t", "valid_from": 2020, "test_from": 2021.5}, times)
    assert splits[2] == 0
    assert splits[0] == 1
    assert splits[1] == 2
    assert splits[4] == 3


def test_cut_points_with_a_zone_are_in_utc() -> None:
    config = {"column": "t", "valid_from": "2024-02-01T00:00:00+01:00", "test_from": "2024-02-01"}
    assert found(config, strings(["2024-01-31 22:59", "2024-01-31 23:00", "2024-02-01"])) == [1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), min_size=1, max_size=60), st.lists(st.integers(0, 60)))
def test_fractions_follow_time_keep_ties_together_and_do_not_depend_on_pieces(
    times: list[int | None], cuts: list[int]
) -> None:
    if all(time is None for time in times):
        return
    column = pa.array(times, pa.int64())
    splits = found(HALVES, column)
    assert splits == found(HALVES, column, tuple(cuts))
    by_time: dict[int | None, set[int]] = {}
    for time, part in zip(times, splits, strict=True):
        by_time.setdefault(time, set()).add(part)
    assert by_time.pop(None, {0}) == {0}
    assert all(len(parts) == 1 for parts in by_time.values())
    in_order = [min(by_time[time]) for time in sorted(time for time in by_time if time is not None)]
    assert in_order == sorted(in_order)


@settings(max_examples=20, deadline=None)
@given(st.permutations(list(range(40))))
def test_fractions_of_different_times_are_exact(order: list[int]) -> None:
    splits = np.array(found(HALVES, pa.array(order, pa.int64())))
    assert np.bincount(splits, minlength=4).tolist() == [0, 20, 10, 10]
    assert (np.array(order)[splits == 1] < 20).all()
    assert (np.array(order)[splits == 3] >= 30).all()


def test_ties_go_to_the_nearer_share() -> None:
    assert found(HALVES, pa.array([1] * 3 + [2] * 3 + [3, 4], pa.int64())) == [1, 1, 1, 2, 2, 2, 3, 3]
    assert found(HALVES, pa.array([1, 2, 2, 2, 3, 4, 5, 6], pa.int64())) == [1, 1, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("config", "times", "message"),
    [
        (
            POINTS,
            strings(["2024-01-01", "soon"]),
            "items.csv row 2: column 't' must be a time such as '2024-01-31 12:00:00' (got 'soon'). Correct the value, "
            "or write null for none (graph.nodes.item.labels.y.split.column)",
        ),
        (
            POINTS,
            pa.array([2024, 2025]),
            "items.csv: column 't' must hold what graph.nodes.item.labels.y.split.valid_from is (got numbers, and "
            "'2024-02-01' there). Write a number in valid_from and test_from",
        ),
        (
            {"column": "t", "valid_from": 1, "test_from": 2},
            pa.array([date(2024, 1, 1)]),
            "items.csv: column 't' must hold what graph.nodes.item.labels.y.split.valid_from is (got times, and 1 "
            "there). Write a time such as '2024-01-31' in valid_from and test_from",
        ),
        (
            HALVES,
            pa.array([None, None], pa.date32()),
            "items.csv: column 't' must hold at least one time (got 2 rows without). Correct "
            "graph.nodes.item.labels.y.split.column",
        ),
        (
            HALVES,
            pa.array([timedelta(1)]),
            "items.csv: column 't' must hold dates, timestamps or numbers (got duration[us]). Correct "
            "graph.nodes.item.labels.y.split.column",
        ),
    ],
)
def test_what_is_no_time_is_reported(config: dict[str, Any], times: pa.Array, message: str) -> None:
    problems = Problems()
    assert split(config, cut(rows(times)), problems) is None
    assert problems.messages == [message]


def test_pieces_with_times_and_pieces_with_numbers_are_reported() -> None:
    problems = Problems()
    assert split(HALVES, cut(rows(strings(["2024-01-01", "17"])), (1,)), problems) is None
    assert problems.messages == [
        "items.csv: column 't' must hold either times or numbers (got both). Write all of them in one way"
    ]
