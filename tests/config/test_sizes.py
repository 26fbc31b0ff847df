"""Sizes of memory: units, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from graphstorm_like.config.sizes import MemorySize

SIZES = TypeAdapter(MemorySize)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("512 MB", 512 * 10**6),
        ("1.5GiB", 3 * 2**29),
        (" 2tb ", 2 * 10**12),
        (10**9, 10**9),
        ("123456789B", 123456789),
    ],
)
def test_sizes_are_bytes(text: str | int, size: int) -> None:
    assert SIZES.validate_python(text) == size


@pytest.mark.parametrize("text", ["8", "GB", "8 apples", "-1GB", "", "1e3MB"])
def test_a_size_needs_a_number_and_a_unit(text: str) -> None:
    with pytest.raises(ValidationError, match="must be a size such as 8GB, 512MB or 1.5GiB"):
        SIZES.validate_python(text)


def test_a_budget_smaller_than_the_process_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 50000000"):
        SIZES.validate_python("1MB")
