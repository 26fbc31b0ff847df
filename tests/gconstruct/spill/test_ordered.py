"""Work in threads whose results come in order."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gconstruct.spill.ordered import ordered_map


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return 10 * number

    assert list(ordered_map(slow_first, range(20), threads)) == list(range(0, 200, 10))


@pytest.mark.parametrize("threads", [1, 3])
def test_few_items_are_asked_for_ahead(threads: int) -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    results = ordered_map(lambda number: number, items(), threads)
    assert next(results) == 0
    assert len(asked) <= threads + 1
    results.close()  # type: ignore[attr-defined]
    assert len(asked) <= threads + 1


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_out_where_its_item_stands(threads: int) -> None:
    def fail_at_two(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    results = ordered_map(fail_at_two, range(10), threads)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
