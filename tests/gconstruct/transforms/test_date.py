"""Dates: their parts on a circle, and ages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.errors import DataError

from ..features import encode, encode_csv
from .pieces import applied, assert_pieces_do_not_matter, config_of, fitted, numbers_of, refused, strings

PARTS = ["year", "quarter", "month", "week", "day_of_year", "day", "day_of_week", "hour", "minute"]
PLAIN: dict[str, Any] = {"encode": "date", "cyclic": False, "normalize": "none"}


@pytest.mark.known_answer("features/date")
def test_parts() -> None:
    column = pa.array([datetime(2024, 12, 31, 23, 59), datetime(2023, 1, 1)], pa.timestamp("ns"))
    values = numbers_of(column, **PLAIN, parts=PARTS)
    assert values.tolist() == [[2024, 4, 12, 1, 366, 31, 1, 23, 59], [2023, 1, 1, 52, 1, 1, 6, 0, 0]]


def test_parts_that_return_are_points_on_a_circle() -> None:
    column = pa.array([date(2024, 1, 5), date(2024, 4, 5), date(2024, 12, 5)])
    values = numbers_of(column, encode="date", parts=["month"])
    np.testing.assert_allclose(values[:2], [[0, 1], [1, 0]], atol=1e-7)
    assert np.linalg.norm(values[0] - values[2]) == pytest.approx(2 * np.sin(np.pi / 12))


def test_years_are_normalized_and_the_default_parts() -> None:
    values, schema = fitted(pa.array([date(2020, 1, 6), date(2024, 1, 1)]), encode="date")
    assert schema.width == 5
    np.testing.assert_allclose(values, [[-1, 0, 1, 0, 1], [1, 0, 1, 0, 1]], atol=1e-7)
    assert (schema.fitted["mean"], schema.fitted["std"]) == ([2022.0], [2.0])


def test_ages_count_from_the_newest_or_a_given_date() -> None:
    column = pa.array([date(2024, 1, 1), date(2024, 1, 11), date(2024, 1, 31)])
    values, schema = fitted(column, **PLAIN, age=True)
    assert values[:, 0].tolist() == [30, 20, 0]
    assert applied(schema, pa.array([date(2024, 2, 1)])).tolist() == [[-1]]
    assert numbers_of(column, **PLAIN, age=True, at="2024-02-01T12:00")[:, 0].tolist() == [31.5, 21.5, 1.5]
    assert numbers_of(column, **PLAIN, age=True, at="2024-02-01T01:00+01:00")[2, 0] == 1
    scaled, schema = fitted(column, encode="date", age=True, parts=["year"])
    ages = np.array([30, 20, 0])
    np.testing.assert_allclose(scaled[:, 1], (ages - ages.mean()) / ages.std(), rtol=1e-6)
    assert scaled[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(1970, 1, 2)]),
        pa.array([date(1970, 1, 2)], pa.date64()),
        pa.array([datetime(1970, 1, 2, tzinfo=UTC)], pa.timestamp("ms", "Europe/Berlin")),
        strings("1970-01-02"),
        strings(" 1970-01-02 00:00 "),
        strings("1970-01-02T00:00:00.000000999"),
        strings("1970-01-02T00:00:00Z"),
        strings("1970-01-02T05:30:00+05:30"),
    ],
    ids=str,
)
def test_forms_of_a_date(column: pa.Array) -> None:
    assert numbers_of(column, **PLAIN, age=True, at="1970-01-03").tolist() == [[1]]


@pytest.mark.parametrize(
    ("unit", "number"),
    [("d", 1.0), ("s", 86_400), ("ms", 86_400_000.0), ("us", 86_400_000_000), ("ns", 86_400 * 10**9)],
)
def test_numbers_with_a_unit(unit: str, number: float) -> None:
    column = pa.array([number, None])
    values = numbers_of(column, **PLAIN, age=True, at="1970-01-03", unit=unit, missing="zero")
    assert values.tolist() == [[1], [0]]


def test_tables(tmp_path: Path) -> None:
    options = {**PLAIN, "parts": ["year"], "missing": "zero", "indicator": True}
    expected = [[2024, 0], [0, 1]]
    assert encode_csv(tmp_path, ["2024-05-06", ""], **options)[0].tolist() == expected
    assert encode_csv(tmp_path, ["1714953600", ""], **options, unit="s")[0].tolist() == expected
    assert encode(tmp_path, [datetime(2024, 5, 6), None], **options)[0].tolist() == expected
    for values, unit, fix in (([1, 2], {}, "Set unit"), ([date(2024, 1, 1)], {"unit": "s"}, "Leave unit out")):
        with pytest.raises(DataError, match=fix):
            encode(tmp_path, values, encode="date", **unit)


def test_missing_dates() -> None:
    values, schema = fitted(strings("2024-01-01", None), encode="date", missing="zero", age=True, indicator=True)
    assert values.tolist() == [[0, 0], [0, 1]]
    assert applied(schema, strings(None)).tolist() == [[0, 1]]
    [message] = refused(strings("2024-01-01", None), encode="date")
    assert "row 2: column 'x' must be a date (got null). Set features.f.missing: zero" in message
    [message] = refused(strings(None), encode="date", missing="zero")
    assert "must have at least one date (got 1 rows without)" in message


def test_what_is_no_date() -> None:
    [message] = refused(strings("2024-01-01", "2024-13-01"), encode="date")
    assert message.startswith("x.parquet row 2: column 'x' must be a date in ISO 8601, such as 2024-01-31")
    [message] = refused(strings("2024-01-01T00:00:00Z", "31.1.2024"), encode="date")
    assert "(got '31.1.2024')" in message
    [message] = refused(pa.array([timedelta(1)]), encode="date")
    assert "must hold dates, or times with a date (got duration[us])" in message
    [message] = refused(pa.array([1e300]), encode="date", unit="s")
    assert "must be a time in s since 1970 (got 1e+300)" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "2024-01-01"}, "must come with age: true"),
        ({"at": "soon", "age": True}, "must be a date, e.g. 2024-01-31"),
        ({"parts": ["month", "month"]}, "must name each part once"),
        ({"indicator": True}, "must come with missing: zero"),
        ({"parts": []}, "at least 1"),
    ],
    ids=str,
)
def test_configurations_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(encode="date", **options)


def test_a_date_of_yaml() -> None:
    assert config_of(encode="date", age=True, at=date(2024, 1, 31)).at == "2024-01-31"  # type: ignore[attr-defined]


@given(st.lists(st.none() | st.dates(date(1800, 1, 1), date(2200, 1, 1)), max_size=30), st.lists(st.integers(0, 30)))
@settings(max_examples=40, deadline=None)
def test_pieces_do_not_matter(dates: list[date | None], cuts: list[int]) -> None:
    column = pa.array([date(2000, 1, 1), *dates], pa.date32())
    assert_pieces_do_not_matter(column, cuts, encode="date", age=True, parts=PARTS, cyclic=False, missing="zero")
