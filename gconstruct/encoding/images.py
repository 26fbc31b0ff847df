"""Columns of PNG or JPEG images -> pixels of one size.

In: bytes, or paths of local files. Out: uint8 (n, height * width * 3), RGB, row by row from the upper left corner. The
pixels of a piece are in memory at one time.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.problems import EXAMPLES, Unquoted
from gconstruct.spill.ordered import cores
from gconstruct.values import Source
from graphstorm_like.config.graph import ImageConfig
from graphstorm_like.errors import MissingExtraError

FORMATS = ("PNG", "JPEG")
_SLAB = 4096
"""Images whose bytes are in memory at one time."""


def encode_image(config: ImageConfig, source: Source, base: str) -> np.ndarray | None:
    """Pixels of an image column; None: the source's problems say why not. base: folder where relative paths start.

    Raises MissingExtraError when Pillow is not installed.
    """
    height, width = config.size
    decode = _decoder(source.key, height, width)
    pixels = np.zeros((len(source), height * width * 3), np.uint8)
    problems: dict[str, list[tuple[int, object]]] = {}
    is_path = not pa.types.is_large_binary(source.values.type)
    folder = Path(base)

    def read(value: Any) -> np.ndarray | tuple[str, object]:
        """The pixels, or (rule that the value breaks, the value as messages show it)."""
        if value is None:
            return f"an image (set {source.key}.missing: zero for rows without one)", None
        try:
            content = (folder / value).read_bytes() if is_path else value
        except (OSError, ValueError) as err:
            reason = err.strerror if isinstance(err, OSError) else str(err)
            return f"the path of a file that can be read, absolute or from {base}", Unquoted(f"{value!r}: {reason}")
        try:
            return decode(content)
        except (OSError, SyntaxError, ValueError, ArithmeticError) as err:
            shown = repr(value) if is_path else f"{len(content):,} bytes"
            return f"an image of format {' or '.join(FORMATS)}", Unquoted(f"{shown}: {str(err).splitlines()[0]}")

    pool = _pool()
    for start in range(0, len(source), _SLAB):
        values = source.values.slice(start, _SLAB).to_pylist()
        for row, outcome in zip(itertools.count(start), pool.map(read, values)):
            if isinstance(outcome, np.ndarray):
                pixels[row] = outcome.reshape(-1)
            elif outcome[1] is not None or config.missing == "error":
                problems.setdefault(outcome[0], []).append((row, outcome[1]))
    for rule, cases in problems.items():
        rows = [row for row, _ in cases]
        values = [value for _, value in cases[:EXAMPLES]]
        source.refuse(rows, values, rule, f"Correct the table or the file. See {source.key}")
    return None if problems else pixels


def _pool() -> ThreadPoolExecutor:
    """The threads that decode all images of this process, one a core: pieces of tables are encoded in threads too."""
    with _POOL_LOCK:
        process = os.getpid()  # a fork has none of the threads
        if process not in _POOLS:
            _POOLS[process] = ThreadPoolExecutor(cores(), "images")
        return _POOLS[process]


_POOLS: dict[int, ThreadPoolExecutor] = {}
_POOL_LOCK = Lock()


def _decoder(key: str, height: int, width: int) -> Callable[[bytes], np.ndarray]:
    """bytes -> uint8 (height, width, 3)."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtraError(key, "pillow", "image") from None

    def decode(content: bytes) -> np.ndarray:
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except Image.DecompressionBombError as err:
            raise ValueError(str(err)) from None
        if upright.size != (width, height):
            upright = upright.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(upright)

    return decode
