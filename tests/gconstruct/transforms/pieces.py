"""Transforms without a graph: fit pieces of a column, apply the result to new rows."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from gconstruct.features import apply_fitted, encode_feature, fit_feature, fitted_feature, transform_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.graph.schema import FeatureSchema
from graphstorm_like.graph.sparse import rows_of

from ..features import source_of


def strings(*values: str | None) -> pa.Array:
    return pa.array(values, pa.large_string())


def config_of(**options: Any) -> FeatureConfig:
    column = {} if options.get("encode") == "embedding" else {"column": "x"}
    config: FeatureConfig = TypeAdapter(FeatureConfig).validate_python({**column, **options})
    return config


def numbers_of(values: pa.Array, **options: Any) -> np.ndarray:
    """The feature of a column x (n, width)."""
    return fitted(values, **options)[0]


def fitted(values: pa.Array, **options: Any) -> tuple[np.ndarray, FeatureSchema]:
    """The feature of a column x, and its schema as graph.json keeps it."""
    source = source_of(values)
    encoded = encode_feature(config_of(**options), source)
    assert encoded is not None, source.problems.messages
    schema = FeatureSchema.model_validate_json(encoded[1].model_dump_json())
    return whole_rows(encoded[0], schema), schema


def refused(values: pa.Array, **options: Any) -> list[str]:
    """The messages about a column x that has no such feature."""
    source = source_of(values)
    assert encode_feature(config_of(**options), source) is None
    return source.problems.messages


def applied(schema: FeatureSchema, values: pa.Array) -> np.ndarray:
    """The feature of new rows."""
    source = source_of(values)
    numbers = apply_fitted(schema, source)
    assert numbers is not None, source.problems.messages
    return whole_rows(numbers, schema)


def whole_rows(stored: np.ndarray | pa.Array, schema: FeatureSchema) -> np.ndarray:
    """The rows (n, width), also of a sparse feature."""
    return np.asarray(rows_of(stored, schema.width)) if schema.sparse else stored


def schema_of_pieces(pieces: list[pa.Array], **options: Any) -> FeatureSchema:
    """Fit each piece, as a process of its own may do, and merge the statistics in this order."""
    config = config_of(**options)
    statistics = [pickle.loads(pickle.dumps(fit_feature(config, source_of(piece)))) for piece in pieces]
    merged = statistics[0]
    for later in statistics[1:]:
        merged = transform_of(config).merge(merged, later)
    schema = fitted_feature(config, merged, source_of(pieces[0]))
    assert schema is not None
    return schema


def assert_pieces_do_not_matter(values: pa.Array, cuts: list[int], **options: Any) -> None:
    """Pieces that are merged from the first to the last, or from the last, give the state of the whole."""
    bounds = sorted({0, len(values), *(cut % (len(values) + 1) for cut in cuts)})
    pieces = [values.slice(low, high - low) for low, high in itertools.pairwise(bounds)]
    whole = schema_of_pieces([values], **options)
    assert schema_of_pieces(pieces, **options) == whole
    assert schema_of_pieces(pieces[::-1], **options) == whole
