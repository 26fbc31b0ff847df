"""`graph:` the tables of the graph, and what their columns mean."""

from __future__ import annotations

import string
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from graphstorm_like.config.base import Accepts, EdgeType, Files, KeyedError, Name, PositiveInt, Strict, names_of
from graphstorm_like.config.engines import EngineName
from graphstorm_like.config.features import FeatureConfig, FeatureField
from graphstorm_like.config.formats import FormatName
from graphstorm_like.config.partitioners import ALWAYS, PartitionsConfig, RandomPartitions
from graphstorm_like.config.relations import entry_of, expanded, first_relation, relations_of
from graphstorm_like.config.rows import CsvOptions, JoinConfig, RowsConfig, check_one_place
from graphstorm_like.config.sizes import MemorySize
from graphstorm_like.config.spark import SparkConfig
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.config.sql import SqlConfig, refuse_secrets
from graphstorm_like.config.times import TimeField


class TextConfig(Strict):
    """One text per row, from one or several string columns. Raw text is kept; tokens are made when first needed."""

    columns: Annotated[list[str], BeforeValidator(names_of), Accepts("string")] = []
    """The columns to join by `separator`, without nulls."""
    separator: str = " "
    """What is put between the columns."""
    template: str | None = None
    """E.g. '{name}: {short}. {long}'; a null column becomes an empty string."""

    @model_validator(mode="after")
    def _one_way(self) -> TextConfig:
        if bool(self.columns) == (self.template is not None):
            raise ValueError("must have either 'columns' or 'template'")
        if self.template is not None and not self.template_columns():
            raise KeyedError("template", "must name at least one column, e.g. '{title}'")
        return self

    def template_columns(self) -> list[str]:
        """Column names in the order of the template."""
        if self.template is None:
            return list(self.columns)
        form = "must be a template like '{name}: {text}'"
        try:
            fields = [f for f in string.Formatter().parse(self.template) if f[1] is not None]
        except ValueError as err:
            raise KeyedError("template", f"{form} ({err}; write {{{{ and }}}} for braces in the text)") from None
        for _, name, spec, conversion in fields:
            if not name or spec or conversion:
                raise KeyedError("template", f"{form}: each pair of braces holds a column's name and nothing else")
        return [str(name) for _, name, _, _ in fields]


class ImageConfig(Strict):
    """One image per row, PNG or JPEG. Its pixels are kept in the graph folder, H * W * 3 bytes per row."""

    column: str
    """A column of the images' bytes, or of paths of local files: absolute, or relative to `graph.base`. The graph is
    built again when the table changes, not when the files that it names do."""
    size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    """[height, width] in pixels, to which images are resized; multiples of the image encoder's patch."""
    missing: Literal["error", "zero"] = "error"
    """What a null becomes: an error, or a black image."""


class LabelConfig(Strict):
    """A label of nodes or edges, for tasks to predict."""

    column: str
    """The column that holds the label; a null row has no label."""
    kind: Literal["class", "classes", "number"] = "class"
    """class: a string, integer or boolean, named in graph.json; classes: any number of them, in a list or with
    `separator` in a string (an empty one: none of the classes); number: for regression."""
    separator: str | None = None
    """With kind classes: what divides the classes of a string."""
    split: SplitConfig
    """Which rows are for training, validation and test."""

    @model_validator(mode="after")
    def _valid(self) -> LabelConfig:
        if self.separator is not None and self.kind != "classes":
            raise KeyedError("separator", f"must be left out with kind: {self.kind}, for a row has one label")
        if self.separator == "":
            raise KeyedError("separator", "must have at least one character")
        if self.split.needs_classes and self.kind != "class":
            raise KeyedError("split", f"must be without 'stratify' for kind: {self.kind} (stratify is for kind: class)")
        return self


def features_in_table(features: dict[str, FeatureConfig], id_column: str | None) -> dict[str, FeatureConfig]:
    """The features of a table with this column of ids; None: of a table of edges."""
    placed = {}
    for name, feature in features.items():
        try:
            placed[name] = feature.in_table(id_column)
        except ValueError as err:
            raise KeyedError(name, str(err)) from None
    return placed


class TableConfig(RowsConfig):
    """What node and edge tables have in common."""

    features: dict[Name, FeatureField] = {}
    """Numbers and categories of a row, by names of your own. A column's name alone is a numeric feature."""
    text: dict[Name, TextConfig] = {}
    """Texts of a row, by names of your own."""
    labels: dict[Name, LabelConfig] = {}
    """What is to be predicted, by names of your own."""
    time: TimeField = None
    """Since when a row is there; a column's name alone is one of dates. null: always."""

    @field_validator("features", mode="after")
    @classmethod
    def _features_of_edges(cls, features: dict[str, FeatureConfig]) -> dict[str, FeatureConfig]:
        return features_in_table(features, None)


class NodeConfig(Strict):
    """A node type. Without a table its ids are gathered from the edges that name it."""

    files: Files = []
    """Paths, globs, folders or URLs; none: the ids come from the edges. Folders key=value within a folder make
    columns."""
    sql: SqlConfig | None = None
    """Rows of a database, instead of files."""
    format: FormatName = "auto"
    """Of the files; auto: by the endings of their names."""
    csv: CsvOptions = CsvOptions()
    id: str | None = None
    """The column with the node's own id: string or integer, unique, never null."""
    join: list[JoinConfig] = []
    """Further tables of the same nodes: features, texts, images and labels may name their columns too."""
    features: dict[Name, FeatureField] = {}
    """Numbers and categories of a row, by names of your own. A column's name alone is a numeric feature."""
    text: dict[Name, TextConfig] = {}
    """Texts of a row, by names of your own."""
    image: dict[Name, ImageConfig] = {}
    """Images of a node, by names of your own."""
    labels: dict[Name, LabelConfig] = {}
    """What is to be predicted, by names of your own."""
    time: TimeField = None
    """Since when a row is there; a column's name alone is one of dates. null: always."""
    on_bad_id: Literal["error", "skip"] = "error"
    """What a null or repeated id does: stop with an error, or leave the row out (the first of repeated ones stays)."""

    @field_validator("features", mode="after")
    @classmethod
    def _features_of_nodes(cls, features: dict[str, FeatureConfig], info: ValidationInfo) -> dict[str, FeatureConfig]:
        # A node type without a column of ids has no table, as is reported, unless its features are of the graph.
        return features_in_table(features, info.data.get("id") or "id")

    @property
    def split(self) -> None:
        """Nodes are split by label."""
        return None

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The column that names a row."""
        return () if self.id is None else (self.id,)

    @property
    def has_table(self) -> bool:
        """Whether rows name its nodes, rather than edges."""
        return bool(self.files) or self.sql is not None

    @property
    def hard_negatives(self) -> None:
        """Only edges have them."""
        return None

    @model_validator(mode="after")
    def _files_and_id(self) -> NodeConfig:
        check_one_place(self)
        if self.has_table and self.id is None:
            raise ValueError("must name the column with its ids, 'id: <column>', when it has files")
        if not self.has_table:
            without_files = [k for k in ("id", "join", "text", "image", "labels", "time") if getattr(self, k)]
            if any(feature.of_columns for feature in self.features.values()):
                without_files.insert(1 if self.id else 0, "features")
            if without_files:
                raise ValueError(f"must have 'files' when it has {', '.join(without_files)}")
        return self


def _relation_or_bool(value: Any) -> Any:
    """`reverse: no` would name a relation 'no', for YAML 1.2 has only true and false."""
    if not isinstance(value, bool | str) or str(value).lower() in ("yes", "no", "on", "off"):
        raise ValueError("must be true, false or a relation's name (other than yes, no, on, off)")
    return value


class HardNegativesColumn(Strict):
    """Wrong targets of an edge that are hard to tell from the true one, for `task.negatives.type: hard`."""

    column: str
    """A column with lists of ids of target nodes, or one id per row, or a string of ids with `separator`."""
    separator: str | None = None
    """What divides the ids of a string; blanks around them do not count."""
    count: PositiveInt = 8
    """At most this many of an edge are kept, the first of them; each takes 4 or 8 bytes per edge."""


def _relation_may_miss(schema: dict[str, Any]) -> None:
    """For editors: `relation_column` takes its place."""
    schema["required"].remove("relation")


class EdgeConfig(TableConfig):
    """An edge type (source, relation, target) and the tables of its edges."""

    model_config = ConfigDict(json_schema_extra=_relation_may_miss)

    source: Name
    """The node type that edges start at."""
    relation: Name
    """What the edges mean; with both ends it names the edge type. With `relation_column` it is left out."""
    target: Name
    """The node type that edges lead to."""
    relation_column: str | None = None
    """A column that tells the relation of each row: the entry makes an edge type of each of `relations`."""
    relations: Annotated[dict[str, Name], BeforeValidator(relations_of), Accepts("array")] = {}
    """The values of `relation_column` that are read, and the names of their relations; a list where these are alike."""
    on_unknown_relation: Literal["error", "drop"] = "error"
    """What a row whose relation is not in `relations` does: stop with an error, or leave the edge out."""
    source_id: str = "source"
    """The column with the source node's id."""
    target_id: str = "target"
    """The column with the target node's id."""
    split: SplitConfig | None = None
    """For link prediction: which edges are for training, validation and test."""
    hard_negatives: HardNegativesColumn | None = None
    """For link prediction: wrong targets of each edge. Ids that no node has are an error, or left out
    (`on_unknown_node: drop` or `create`)."""
    reverse: Annotated[bool | Name, BeforeValidator(_relation_or_bool)] = True
    """Also make the reverse edge type, with the same features. A string names its relation; true: <relation>_rev."""
    on_unknown_node: Literal["error", "drop", "create"] = "error"
    """What an edge to an id that the node table lacks does: stop with an error, leave the edge out, or add a node
    without features. An end whose type has no table takes its ids from the edges that remain."""
    on_bad_id: Literal["error", "skip"] = "error"
    """What a null end does: stop with an error, or leave the edge out."""
    on_repeated_edge: Literal["keep", "drop", "error"] = "keep"
    """What an edge with the same two ends as an earlier row does: keep it, leave it out, or stop with an error."""

    _relation_of_column = model_validator(mode="before")(first_relation)

    @model_validator(mode="after")
    def _relations(self) -> EdgeConfig:
        if (self.relation_column is None) != (not self.relations):
            key, other = ("relations", "relation_column")[:: 1 if self.relation_column is not None else -1]
            raise KeyedError(key, f"must be given, because there is {other!r}")
        if self.relations and self.relation not in self.relations.values():
            raise KeyedError("relation", "must be left out, because 'relations' names the relations")
        if isinstance(self.reverse, str) and len(set(self.relations.values())) > 1:
            raise KeyedError("reverse", "must be true or false for several relations: a name would stand for all")
        return self

    @model_validator(mode="after")
    def _no_classes(self) -> EdgeConfig:
        if self.split is not None and self.split.needs_classes:
            raise KeyedError(
                "split", "must be without 'stratify': it is for link prediction, where edges have no classes"
            )
        return self

    @model_validator(mode="after")
    def _lists_of_relations(self) -> EdgeConfig:
        """Each relation is a table of its own, which has only some of the rows that files name."""
        if len(set(self.relations.values())) > 1:
            of_labels = [("labels", f"{name}.split must", label.split) for name, label in self.labels.items()]
            for key, must, split in [("split", "must", self.split), *of_labels]:
                if split is not None and split.needs_named_rows:
                    raise KeyedError(
                        key,
                        f"{must} have on_unknown_id: skip with 'relation_column' (got by: {split.by}): the edges of "
                        "one relation are only some of those that the lists name",
                    )
        return self

    @property
    def image(self) -> dict[str, ImageConfig]:
        """Edges have no images."""
        return {}

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return (self.source_id, self.target_id)

    @property
    def edge_type(self) -> EdgeType:
        """(source, relation, target)"""
        return (self.source, self.relation, self.target)

    @property
    def reverse_type(self) -> EdgeType | None:
        """The reverse edge type, or None."""
        if self.reverse is False:
            return None
        relation = f"{self.relation}_rev" if self.reverse is True else self.reverse
        return (self.target, relation, self.source)


class GraphConfig(Strict):
    """The whole graph: where its tables are, and where the graph folder goes.

    With `path` alone it is an existing folder, e.g. one that `gsl stitch` made or that was copied here.
    """

    path: str | None = None
    """The graph folder; default: `<output>/graph`. A URL: it is kept there, and read from a copy in `work`."""
    base: str | None = None
    """Folder or URL where relative `files` start; default: the YAML's folder."""
    like: str | None = None
    """A graph folder whose fitted state (means, categories, classes ...) these tables get instead of one of their own,
    so that a model of that graph can read the new one. The tables must give the same types, features and labels."""
    add_to: str | None = None
    """A graph folder to which these tables add nodes and edges: `path` becomes a new folder with both, with the state
    of the old one. Its nodes keep their positions, and edges may name them by id."""
    engine: EngineName = "arrow"
    """What builds the graph folder: an engine of ours (arrow: this machine; spark: a cluster, or this machine), or one
    that a plug-in adds."""
    spark: SparkConfig = SparkConfig()
    """Of engine: spark."""
    memory: MemorySize | None = None
    """How much memory construction may take, e.g. 8GB (engine `arrow`); what does not fit goes to temporary files in
    the new folder. Default: half of what the machine or the container has. The graph does not depend on it."""
    partitions: PartitionsConfig = RandomPartitions()
    """How many partitions, and which nodes go where."""
    on_leak: Literal["warn", "error", "ignore"] = "warn"
    """What construction does when validation or test rows are given away, e.g. by copies among the training rows: print
    a line for each finding, stop with an error, or not look. The findings are kept in leaks.json."""
    report: bool = True
    """Write report.html and report.json into the folder that is built: counts, degrees, features, texts, labels, rows
    left out, time and memory. They are no part of the graph, which stays up to date with or without them."""
    nodes: dict[Name, Annotated[NodeConfig, Accepts("null")]] = {}
    """Node types by name. A name without a value is a type without a table."""
    edges: list[EdgeConfig] = []
    """Edge types and their tables."""

    @field_validator("nodes", mode="before")
    @classmethod
    def _empty_means_default(cls, value: Any) -> Any:
        """`host:` with no value is a node type without a table."""
        if not isinstance(value, dict):
            return value
        return {name: ({} if node is None else node) for name, node in value.items()}

    @model_validator(mode="after")
    def _one_edge_type_an_entry(self) -> GraphConfig:
        """The model is frozen, so this bypasses its assignment."""
        object.__setattr__(self, "edges", expanded(self.edges))
        return self

    @model_validator(mode="after")
    def _without_secrets(self) -> GraphConfig:
        for key in ("path", "like", "add_to"):
            refuse_secrets(key, getattr(self, key))
        return self

    @model_validator(mode="after")
    def _tables_or_folder(self) -> GraphConfig:
        if self.is_built and (self.edges or self.path is None):
            raise KeyedError(
                "nodes", "must be given, unless graph has only the 'path' of a graph folder that is there already"
            )
        if self.like is not None and self.add_to is not None:
            raise KeyedError("like", "must be left out when 'add_to' is given, which takes the state of its graph too")
        for key in ("like", "add_to"):
            if self.is_built and getattr(self, key) is not None:
                raise KeyedError(key, "must be left out when there are no tables (graph.nodes is empty)")
        if self.is_built and self.partitions.count != 1:
            raise KeyedError(
                "partitions",
                "must be left out: a graph folder that is there already is taken as it is. Make another one of it "
                "with: gsl partition",
            )
        return self

    @model_validator(mode="after")
    def _partitions_by_known_columns(self) -> GraphConfig:
        columns = {name: [*node.features, *node.text, *node.labels, *ALWAYS] for name, node in self.nodes.items()}
        problem = None if self.is_built else self.partitions.problem(columns)
        if problem is not None:
            raise KeyedError("partitions", problem)
        return self

    @property
    def is_built(self) -> bool:
        """Whether it is an existing graph folder rather than tables."""
        return not self.nodes

    def edge_types(self) -> list[EdgeType]:
        """All edge types, each reverse after its original."""
        edge_types: list[EdgeType] = []
        for edge in self.edges:
            edge_types.append(edge.edge_type)
            if edge.reverse_type is not None:
                edge_types.append(edge.reverse_type)
        return edge_types

    def edge_key(self, index: int) -> str:
        """Where the YAML has an edge type: 'graph.edges[2]'."""
        return f"graph.edges[{entry_of(self.edges, index)}]"

    def edge(self, edge_type: EdgeType) -> EdgeConfig | None:
        """The entry of `edges` for an edge type; None when there is none, and for reverse types."""
        return next((edge for edge in self.edges if edge.edge_type == edge_type), None)
