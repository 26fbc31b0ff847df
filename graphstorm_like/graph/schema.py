"""graph.json: what a graph folder holds. Engine-neutral, torch-free, readable by anything that reads JSON.

A graph folder is

    graph.json                          this manifest
    part-0/nodes/<file>.arrow           one row per node: original id, features, labels, splits, texts, images
    part-0/edges/<file>.arrow           one row per edge, sorted by target: source, target, features, label, split
    part-0/edges/<file>.indptr.arrow    where each target's edges start (CSC index pointers)

Node ids are positions 0..count-1 of their type; a partition holds a contiguous range of each type, and the edges into
them. An edge's id is its row number, counted through all partitions. Every file has one record batch, so that a memory
map gives whole columns without a copy.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from graphstorm_like.config.base import EdgeType, Name, edge_name
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.modality import IMAGE, TEXT, input_name

SCHEMA_VERSION = 1
MANIFEST = "graph.json"

ID_COLUMN = "id"
SOURCE_COLUMN = "source"
TARGET_COLUMN = "target"
SPLIT_COLUMN = "split"
TIME_COLUMN = "time"
"""int64 microseconds since 1970 in UTC, or float64: see `TimeSchema`."""
HARD_NEGATIVES_COLUMN = "hard_negatives"
"""Fixed-size list of int32 or int64: positions of target nodes, -1 where an edge has fewer."""

SPLITS = ("none", "train", "valid", "test")
"""A split column is uint8; the number is the position in this list."""
NO_LABEL = -1
"""Class labels are int32 positions in `classes`; this stands for null."""
NO_CLASSES = 255
"""Labels of several classes are uint8 (n, classes), 1 where a row has the class; a row of these stands for null."""


def feature_column(name: str) -> str:
    """Arrow column of a feature: fixed-size list of float32, float16, or uint16 (see `graph.bfloat16`); of a sparse one
    lists of entries (see `graph.sparse`)."""
    return f"feature:{name}"


def text_column(name: str) -> str:
    """Arrow column of a text: large_string."""
    return input_name(TEXT, name)


def always(dtype: Any) -> int | float:
    """In a time column: the time of rows that are always there, before all others."""
    return -(2**63) if "int64" in str(dtype) else -math.inf


def image_column(name: str) -> str:
    """Arrow column of an image: fixed-size list of uint8, height * width * 3, RGB row by row."""
    return input_name(IMAGE, name)


def label_column(name: str) -> str:
    """Arrow column of a label: int32 class, float32 number, or fixed-size list of uint8 for several classes."""
    return f"label:{name}"


def label_split_column(name: str) -> str:
    """Arrow column of a label's split: uint8, see SPLITS."""
    return f"split:{name}"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_inside(value: str) -> str:
    """A graph folder may come from somebody else: no path in its manifest may lead out of the folder."""
    parts = value.split("/")
    if {"", ".", ".."} & set(parts) or any(c in value for c in "\\:\0"):
        raise ValueError(f"must be a path within the folder, without '..' (got {value!r})")
    return value


RelativePath = Annotated[str, AfterValidator(_check_inside)]
"""Path of a file or folder within the graph folder, with '/' between its parts."""


class FeatureSchema(_Model):
    """A feature: `width` numbers per row."""

    width: int
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    sparse: bool = False
    """Whether rows are stored by their entries that are not 0."""
    fitted: dict[str, Any] = {}
    """What was fitted to make it (mean, std, categories ...), to transform new rows in the same way."""


class TextSchema(_Model):
    """A text column."""

    columns: list[str]
    template: str | None = None


class ImageSchema(_Model):
    """An image column: its size in pixels."""

    height: Annotated[int, Field(gt=0)]
    width: Annotated[int, Field(gt=0)]


class LabelSchema(_Model):
    """A label, and how many rows of each split have one."""

    kind: Literal["class", "classes", "number"]
    classes: list[str] = []
    counts: dict[str, int] = {}
    fitted_split: dict[str, Any] = {}
    """What was fitted to split its rows (cut points in time, bounds of stratified draws), to split new rows alike."""


class TimeSchema(_Model):
    """A time column. moment: int64 microseconds since 1970 in UTC; number: float64. See `always` for rows without."""

    kind: Literal["moment", "number"]
    of_nodes: bool = False
    """Of edges whose table has no time: it is that of their nodes."""


class NodeTypeSchema(_Model):
    """One node type."""

    count: int
    id_type: Literal["string", "int64"]
    features: dict[Name, FeatureSchema] = {}
    text: dict[Name, TextSchema] = {}
    image: dict[Name, ImageSchema] = {}
    labels: dict[Name, LabelSchema] = {}
    time: TimeSchema | None = None
    """Since when nodes are there; None: always."""


def _split_name(value: Any) -> Any:
    return tuple(value.split(":")) if isinstance(value, str) else value


EdgeTypeJson = Annotated[tuple[Name, Name, Name], BeforeValidator(_split_name), PlainSerializer(edge_name)]


class EdgeTypeSchema(_Model):
    """One edge type. A reverse type carries the same rows with the ends swapped."""

    edge_type: EdgeTypeJson
    count: int
    features: dict[Name, FeatureSchema] = {}
    text: dict[Name, TextSchema] = {}
    labels: dict[Name, LabelSchema] = {}
    split_counts: dict[str, int] | None = None
    """Rows of each split, for link prediction; None: the type has no split."""
    time: TimeSchema | None = None
    """Since when edges are there, which is not before their nodes are; None: always."""
    fitted_split: dict[str, Any] = {}
    """As of a label."""
    hard_negatives: int = 0
    """Wrong targets that an edge has at most; 0: there is no column of them. Reverse types have none."""
    reverse: EdgeTypeJson | None = None
    """The type that holds the same edges the other way round."""
    is_reverse: bool = False


class PartitionSchema(_Model):
    """Where one partition lies, and which nodes are its own."""

    folder: RelativePath
    node_ranges: dict[Name, tuple[int, int]]
    edge_ranges: dict[str, tuple[int, int]] = {}
    """By 'source:relation:target': range of the ids of its edges, which are the edges into its nodes. Empty: it is the
    only partition."""
    node_files: dict[Name, RelativePath]
    edge_files: dict[str, RelativePath]
    """By 'source:relation:target'; the index pointers lie next to them: `.arrow` -> `.indptr.arrow`."""
    bytes: int


class GraphManifest(_Model):
    """The whole of graph.json."""

    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    """Hash of the configuration and the input files: while it is the same, the folder is up to date."""
    nodes: dict[Name, NodeTypeSchema]
    edges: list[EdgeTypeSchema]
    partitions: list[PartitionSchema]
    hashes: dict[RelativePath, str]
    """blake2b of every file, by its path in the folder."""
    dropped: dict[str, int] = {}
    """How many rows were left out as the user asked, by reason."""

    def node(self, node_type: str) -> NodeTypeSchema:
        """Schema of a node type; DataError names the known ones."""
        if node_type not in self.nodes:
            raise DataError(unknown(MANIFEST, "node type", node_type, self.nodes))
        return self.nodes[node_type]

    def edge(self, edge_type: EdgeType) -> EdgeTypeSchema:
        """Schema of an edge type; DataError names the known ones."""
        for edge in self.edges:
            if edge.edge_type == edge_type:
                return edge
        raise DataError(unknown(MANIFEST, "edge type", edge_name(edge_type), self.edge_names()))

    def original_edge_types(self) -> list[EdgeType]:
        """Edge types that are not the reverses of others."""
        return [edge.edge_type for edge in self.edges if not edge.is_reverse]

    def edge_names(self) -> list[str]:
        """Written forms of all edge types."""
        return [edge_name(e.edge_type) for e in self.edges]

    @property
    def num_nodes(self) -> int:
        """Nodes of all types."""
        return sum(n.count for n in self.nodes.values())

    @property
    def num_edges(self) -> int:
        """Edges of all types, reverses included."""
        return sum(e.count for e in self.edges)


def indptr_file(edge_file: str) -> str:
    """'edges/a.arrow' -> 'edges/a.indptr.arrow'"""
    return edge_file.removesuffix(".arrow") + ".indptr.arrow"


def read_manifest(folder: str | Path) -> GraphManifest:
    """Read graph.json. Raises DataError when this is not a graph folder, or has another schema version."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder}: must be a graph folder, but has no {MANIFEST}. Make one with: gsl construct")
    try:
        manifest = GraphManifest.model_validate_json(path.read_bytes())
    except ValidationError as err:
        first = err.errors()[0]
        at = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise DataError(
            f"{path}: must be a manifest of schema version {SCHEMA_VERSION} ({at}: {message}). "
            f"It was damaged, or written by something else: make or copy the folder again"
        ) from None
    if manifest.schema_version != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema_version must be {SCHEMA_VERSION} (got {manifest.schema_version}). Construct it again"
        )
    return manifest
