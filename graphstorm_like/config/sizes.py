"""Sizes of memory in a configuration: 8GB, 512 MB, 1.5GiB, or a number of bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from graphstorm_like.config.base import Accepts

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY = {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _FORM.fullmatch(value)
    unit = (_UNITS | _BINARY).get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise ValueError("must be a size such as 8GB, 512MB or 1.5GiB")
    return int(float(found[1]) * unit)


MemorySize = Annotated[int, Field(ge=50_000_000), BeforeValidator(_bytes), Accepts("string")]
"""Bytes; in YAML a number with a unit"""
