"""Columns -> features, fitted on all rows of a table, or with the state that was fitted for a graph.

Out: numbers (n, width) as they are stored, or the column of a sparse feature, and a FeatureSchema whose `fitted` holds
the configuration and the state of the transform, which give new rows the same feature.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from gconstruct.problems import EXAMPLES
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.values import Source
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.bfloat16 import to_bits
from graphstorm_like.graph.schema import FeatureSchema
from graphstorm_like.graph.sparse import SPARSE_WIDTH, SparseRows, column_of


def transform_of(config: FeatureConfig) -> Transform[Any, Any, Any]:
    """The transform of a feature."""
    return TRANSFORMS.of(config)(config)


def fit_feature(config: FeatureConfig, source: Source) -> Any | None:
    """Statistics of a piece of a column, which `merge_features` adds up; None: the source's problems say why not."""
    transform = transform_of(config)
    values = transform.read(source)
    return None if values is None else transform.fit(values)


def fitted_feature(config: FeatureConfig, statistics: Any, source: Source) -> FeatureSchema | None:
    """The feature with the state that the statistics of all rows give; None: the source's problems say why not."""
    transform = transform_of(config)
    state = transform.state(statistics, source)
    if state is None:
        return None
    chosen = config.model_dump(exclude={"dtype"})
    assert not chosen.keys() & state.keys(), f"{type(transform).__name__}: its state has keys of its configuration"
    width = transform.width(statistics, state, source)
    sparse = transform.gives_entries and width >= SPARSE_WIDTH
    return FeatureSchema(width=width, dtype=config.dtype, sparse=sparse, fitted={**chosen, **state})


def encode_feature(config: FeatureConfig, source: Source) -> tuple[np.ndarray | pa.Array, FeatureSchema] | None:
    """Fit a feature on a whole column and apply it to it; None: the source's problems say why not."""
    statistics = fit_feature(config, source)
    schema = None if statistics is None else fitted_feature(config, statistics, source)
    numbers = None if schema is None else apply_fitted(schema, source)
    return None if schema is None or numbers is None else (numbers, schema)


def apply_fitted(schema: FeatureSchema, source: Source) -> np.ndarray | pa.Array | None:
    """The feature of a graph for other rows, as it is stored: float32, float16, or the bits of bfloat16 (n, width), or
    the column of a sparse feature.

    None: the source's problems say why not. Raises DataError when the graph does not tell how its feature was made.
    """
    config, source = _config_of(schema, source), replace(source, width=schema.width)
    state = {key: value for key, value in schema.fitted.items() if key not in type(config).model_fields}
    transform = transform_of(config)
    values = transform.read(source)
    if values is None:
        return None
    if schema.sparse:
        entries = transform.entries(values, state, source)
        return column_of(entries, config.dtype) if entries is not None and _has_width(entries, schema, source) else None
    numbers = transform.apply(values, state, source)
    return _stored(numbers, config, source) if numbers is not None and _has_width(numbers, schema, source) else None


def _has_width(rows: np.ndarray | SparseRows, schema: FeatureSchema, source: Source) -> bool:
    if rows.shape[1] != schema.width:
        rule = f"must give {schema.width} numbers a row, as in the graph (got {rows.shape[1]})"
        source.refuse_all(rule, "Correct the table, or train on a graph that was constructed of it")
    return bool(rows.shape[1] == schema.width)


def _config_of(schema: FeatureSchema, source: Source) -> FeatureConfig:
    families = members_of(FeatureConfig) or {}
    config_class = families.get(str(schema.fitted.get("encode")))
    if config_class is None:
        raise DataError(
            f"{source.key}: must be a feature that gsl construct made, with its state in graph.json (got encode "
            f"{schema.fitted.get('encode')!r}). Construct the graph from tables, or name the plug-in that has it"
        )
    chosen = {key: value for key, value in schema.fitted.items() if key in config_class.model_fields}
    try:
        config: FeatureConfig = TypeAdapter(FeatureConfig).validate_python({**chosen, "dtype": schema.dtype})
    except ValidationError as err:
        raise DataError(
            f"{source.key}: must have a configuration in graph.json that this version knows (got "
            f"{err.errors()[0]['msg']}). Construct the graph again"
        ) from None
    return config


def _stored(numbers: np.ndarray, config: FeatureConfig, source: Source) -> np.ndarray | None:
    """In the dtype of the configuration; numbers that become infinite in it are a problem."""
    narrow, infinite = narrowed(numbers, config.dtype)
    large = np.flatnonzero(infinite.any(axis=1))
    if large.size:
        examples: list[object] = [float(numbers[row][infinite[row]][0]) for row in large[:EXAMPLES].tolist()]
        fix = f"Leave out {source.key}.dtype, or set {source.key}.normalize: standard"
        source.refuse(large, examples, f"at most {_LARGEST[config.dtype]} as {config.dtype}", fix)
        return None
    return narrow


_LARGEST = {"float16": "65,504", "bfloat16": "3.39e38"}


def narrowed(numbers: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """(float32 (n, width) as float32, float16 or the bits of bfloat16, bool (n, width): what became infinite)"""
    if dtype == "float32":
        return numbers, np.zeros((*numbers.shape[:1], 1), bool)
    if dtype == "bfloat16":
        bits = to_bits(numbers)
        return bits, bits & 0x7FFF == 0x7F80
    with np.errstate(over="ignore"):
        half = numbers.astype(np.float16)
    return half, np.isinf(half)
