"""Features, texts, labels and splits of a node or edge table, encoded."""

from __future__ import annotations

from gconstruct.attributes import Attributes
from gconstruct.engines.arrow.labels import HashedIds, encode_label, encode_split
from gconstruct.engines.arrow.texts import encode_text
from gconstruct.features import encode_feature, transform_of
from gconstruct.images import encode_image
from gconstruct.problems import Problems
from gconstruct.splits import split_counts
from gconstruct.tables.table import Table
from graphstorm_like.config.graph import EdgeConfig, NodeConfig
from graphstorm_like.graph.schema import (
    SPLIT_COLUMN,
    feature_column,
    image_column,
    label_column,
    label_split_column,
    text_column,
)


def encode_attributes(
    table: Table, config: NodeConfig | EdgeConfig, hashed_ids: HashedIds, problems: Problems
) -> Attributes:
    """All features, texts, labels and splits; `problems` gets everything that is wrong with them."""
    out = Attributes()
    for name, feature in config.features.items():
        source = table.source(transform_of(feature).column, f"{table.key}.features.{name}", problems)
        encoded = encode_feature(feature, source)
        if encoded is not None:
            out.columns[feature_column(name)], out.features[name] = encoded
    for name, text in config.text.items():
        out.columns[text_column(name)], out.text[name] = encode_text(table, text)
    for name, label in config.labels.items():
        encoded_label = encode_label(table, name, label, hashed_ids, problems)
        if encoded_label is not None:
            out.columns[label_column(name)], out.columns[label_split_column(name)], out.labels[name], lost = (
                encoded_label
            )
            if lost:
                out.lost_splits[name] = lost
    if isinstance(config, EdgeConfig) and config.split is not None:
        splits = encode_split(table, config.split, f"{table.key}.split", hashed_ids, problems)
        if splits is not None:
            out.columns[SPLIT_COLUMN], out.split_counts = splits, split_counts(splits)
    return out


def encode_images(table: Table, config: NodeConfig, base: str, out: Attributes, problems: Problems) -> None:
    """Add the images of a node table. base: folder where relative paths of images start."""
    for name, image in config.image.items():
        encoded = encode_image(image, table.source(image.column, f"{table.key}.image.{name}", problems), base)
        if encoded is not None:
            out.columns[image_column(name)], out.image[name] = encoded
