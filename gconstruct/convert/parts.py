"""Parts that both JSON forms have under other names: files, columns, splits, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gconstruct.convert.notes import Section
from gconstruct.convert.specs import FeatureSpec
from graphstorm_like.errors import ConfigError

DEFAULT_SPLIT = {"train": 0.8, "valid": 0.1, "test": 0.1}

NO_TEXT_KEYS = {"infer_batch_size": "batches are as large as the device likes: text_encoder.batch_tokens"}


def strings(value: Any, key: str) -> list[str]:
    """A string or a list of them as a list."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise ConfigError(f"{key}: must be text or a list of texts (got {value!r})")
    return list(values)


def dtype(value: Any, key: str, section: Section) -> dict[str, Any]:
    """out_dtype"""
    if value in (None, "float32"):
        return {}
    if value in ("float16", "bfloat16"):
        return {"dtype": value}
    section.notes.near(section.path(key), f"{value}: features are at most float32")
    return {}


def drawn_split(shares: Sequence[Any] | None, key: str, section: Section) -> dict[str, Any]:
    """train, validation and test shares; parts that would be empty are noted, for a task needs all three."""
    if shares is None:
        return dict(DEFAULT_SPLIT)
    values = [float(share) for share in shares]
    if len(values) != 3:
        raise ConfigError(f"{section.path(key)}: must be three numbers, for train, validation and test (got {shares})")
    if sum(values) > 1.0 + 1e-9:
        raise ConfigError(f"{section.path(key)}: must sum to at most 1 (got {sum(values):g})")
    if 0.0 not in values:
        return dict(zip(("train", "valid", "test"), values, strict=True))
    small = 0.05
    largest = values.index(max(values))
    for i, value in enumerate(values):
        if value == 0.0:
            values[i] = small
            values[largest] = round(values[largest] - small, 6)
    section.notes.near(section.path(key), f"a part of 0 became {small}: training, validation and test all need rows")
    return dict(zip(("train", "valid", "test"), values, strict=True))


def custom_split(files: Section, section: Section, name: str) -> dict[str, Any]:
    """Files that list the ids of each part. Without all of validation and test it is a draw, and noted."""
    parts = {"train": files.take("train"), "valid": files.take("valid", files.take("val")), "test": files.take("test")}
    columns = strings(files.take("column", []), files.path("column"))
    split: dict[str, Any] = {part: strings(paths, files.path(part)) for part, paths in parts.items() if paths}
    if not {"valid", "test"} <= set(split):
        section.notes.none(section.path(name), "without files for both validation and test: became a draw")
        return dict(DEFAULT_SPLIT)
    return split | ({"columns": columns} if columns else {})


def bucket_settings(transform: Section) -> dict[str, Any]:
    """`range`, `bucket_cnt` and `slide_window_size` as the edges of intervals of equal width."""
    low, high = (float(end) for end in transform.take("range", [0, 1]))
    count = int(transform.take("bucket_cnt", 1))
    width = (high - low) / count
    edges = [round(low + width * i, 12) for i in range(count)] + [high]
    window = transform.take("slide_window_size")
    return {"encode": "bucket", "edges": edges} | ({"window": float(window)} if window else {})


def hard_negatives(transform: Section, spec: FeatureSpec) -> bool:
    """A column with wrong targets of edges."""
    separator = transform.take("separator")
    spec.hard_negatives = True
    spec.settings = {} if separator is None else {"separator": str(separator)}
    return True


def rank_gauss(transform: Section) -> dict[str, Any]:
    """Ranks as a normal distribution."""
    epsilon = transform.take("epsilon")
    return {"encode": "rank_gauss"} | ({"epsilon": float(epsilon)} if epsilon and 0 < epsilon < 0.5 else {})


def vector_settings(transform: Section) -> dict[str, Any]:
    """`separator` and `truncate_dim` of vectors."""
    separator, dims = transform.take("separator"), transform.take("truncate_dim")
    settings = {} if separator is None else {"separator": str(separator)}
    return settings | ({"dims": int(dims)} if dims else {})
