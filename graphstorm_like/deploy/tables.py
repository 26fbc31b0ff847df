"""New tables -> a graph with the state of a packed model, alone or added to the graph of known rows.

Tables come as a YAML with a section `graph:`, or as data frames, Arrow tables and paths by type; what their columns
mean is then taken from the model's own configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gconstruct import build_graph
from gconstruct.api import to_arrow
from gconstruct.held import SCHEME, hold
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.load import build_graph_config
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.deploy.folder import ModelFolder
from graphstorm_like.deploy.scored_graph import fit_manifest
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.graph.schema import MANIFEST, GraphManifest, NodeTypeSchema, read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

Tables = Mapping[str, Mapping[Any, Any]]
"""{"nodes": {type: table}, "edges": {(source, relation, target): table}}; a table is a data frame, an Arrow table, a
dict of columns, or the path of a file."""


@dataclass(frozen=True)
class NewTables:
    """nodes, edges: as in the YAML's `graph:`. base: where relative files start. more: other keys of the section.
    held: tables in memory, by name."""

    nodes: dict[str, Any]
    edges: list[dict[str, Any]]
    base: str
    more: Mapping[str, Any]
    held: dict[str, pa.Table]
    where: str


def read_tables(path: Path, labels: bool) -> NewTables:
    """The section `graph:` of a YAML, which may be a whole pipeline. labels: whether to read its labels and splits."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: must be a YAML file that can be read ({err})") from None
    source = parse_yaml(text, str(path))
    graph = source.data.get("graph") if isinstance(source.data, dict) else None
    if source.problems:
        raise ConfigError([f"{place.text}: {message}" for _, place, message in source.problems])
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), dict):
        raise ConfigError(f"{path}: must have a section 'graph:' with the new tables: nodes, edges and their files")
    base = path.absolute().parent
    root = str(graph.get("base") or "")
    root = root if "://" in root else str((base / Path(root).expanduser()).absolute())
    nodes = {name: dict(node or {}) for name, node in graph["nodes"].items()}
    edges = [dict(edge) for edge in graph.get("edges") or []]
    if not labels:
        for table in [*nodes.values(), *edges]:
            table.pop("labels", None)
        for edge in edges:
            edge.pop("split", None)
    more = {key: graph[key] for key in ("engine", "memory", "spark") if key in graph}
    return NewTables(nodes, edges, root, more, {}, f"{path}: graph")


def given_tables(
    tables: Tables,
    packed: Mapping[str, Any],
    trained_on: Collection[str],
    where: str = "tables",
    ranks_given: bool = False,
) -> NewTables:
    """Tables by type. packed: the model's own `graph:`, which says what their columns mean. trained_on: names of all
    types of the training; tables of those that the model does not read are left out. ranks_given: whether links are
    ranked among the hard negatives of edges, which nobody else reads."""
    if not packed.get("nodes"):
        raise ConfigError(f"{where}: must be a YAML with a section 'graph:', for the model does not know its tables")
    for key in tables:
        if key not in ("nodes", "edges"):
            raise ConfigError(unknown(where, "key", str(key), ("nodes", "edges")))
    held: dict[str, pa.Table] = {}
    known_edges = {f"{edge['source']}:{edge['relation']}:{edge['target']}": edge for edge in packed["edges"]}
    given_nodes = _of_known_types(f"{where}: nodes", "node type", tables.get("nodes", {}), packed["nodes"], trained_on)
    given_edges = _of_known_types(f"{where}: edges", "edge type", tables.get("edges", {}), known_edges, trained_on)
    nodes = {name: dict(node) for name, node in packed["nodes"].items() if not node["files"]}
    for name, table in given_nodes.items():
        if name in nodes:
            raise ConfigError(f"{where}: nodes.{name}: must be left out: its ids come from the edges")
        nodes[name] = _entry(packed["nodes"][name], f"nodes.{name}", table, held, False)
    edges = []
    for name, table in given_edges.items():
        edges.append(_entry(known_edges[name], f"edges.{name}", table, held, ranks_given))
    return NewTables(nodes, edges, str(Path.cwd()), {}, held, where)


def _of_known_types(
    where: str, what: str, given: Mapping[Any, Any], known: Mapping[str, Any], trained_on: Collection[str]
) -> dict[str, Any]:
    """Tables that the model reads by the written form of their type; ConfigError for types that it never had."""
    tables = {key if isinstance(key, str) else edge_name(key): table for key, table in given.items()}
    for name in tables:
        if name not in known and name not in trained_on:
            raise ConfigError(unknown(where, what, name, known))
    return {name: table for name, table in tables.items() if name in known}


def _entry(
    entry: Mapping[str, Any], name: str, table: Any, held: dict[str, pa.Table], ranks_given: bool
) -> dict[str, Any]:
    """The configuration of a table, which goes to `held` unless it is a path. Labels, splits and, with ranks_given,
    hard negatives stay only where their columns are there."""
    changed = dict(entry)
    if isinstance(table, str | Path):
        changed["files"] = [str(Path(table).absolute()) if "://" not in str(table) else str(table)]
        names: set[str] = set()
    else:
        held[name] = to_arrow(name, table)
        changed["files"], names = [f"{SCHEME}{name}"], set(held[name].column_names)
    labels = {}
    for label, options in entry.get("labels", {}).items():
        if {options["column"], *_split_columns(options["split"])} <= names:
            labels[label] = options
    changed["labels"] = labels
    if entry.get("split") is not None and not set(_split_columns(entry["split"])) <= names:
        changed["split"] = None
    negatives = changed.pop("hard_negatives", None)
    if ranks_given and negatives is not None and negatives["column"] in names:
        changed["hard_negatives"] = negatives
    return changed


def _split_columns(split: Mapping[str, Any]) -> list[str]:
    """The columns that a split reads."""
    return [split[key] for key in ("column", "group_by") if split.get(key)]


def construct(
    tables: NewTables,
    model: ModelFolder,
    target: Path,
    attach: Path | None,
    say: Callable[[str], None] = lambda _: None,
) -> GraphManifest:
    """Make the graph folder `target` of new tables, with the state of the model; (attach) after the rows of a graph
    folder. Types and inputs that the model does not read are left out. Raises ConfigError and DataError that name what
    is missing."""
    known, held = model.manifest, dict(tables.held)
    nodes, edges = _only_read(tables, known, say)
    state = {"like": str(model.graph)}
    if attach is not None:
        first = target.with_name(f"{target.name}.first")
        known = _known_rows(attach, model.manifest, first)
        state = {"add_to": str(first.absolute())}
    _fill_edges(edges, known, held)
    _fill_nodes(nodes, known, held, tables.where, attach is not None)
    data = {
        **tables.more,
        **state,
        "path": str(target.absolute()),
        "base": tables.base,
        "report": False,
        "on_leak": "ignore",
        "nodes": nodes,
        "edges": edges,
    }
    with hold(held):
        return build_graph(build_graph_config(data, tables.where), progress=say)


def _known_rows(attach: Path, model: GraphManifest, folder: Path) -> GraphManifest:
    """Make `folder`, which shows the graph folder `attach` with the types and columns that the model reads alone."""
    manifest = read_manifest(attach)
    fitted = fit_manifest(attach, manifest, model, [*model.nodes, *model.edge_names()])
    nodes, edges = dict(fitted.nodes), []
    for name, node in nodes.items():
        nodes[name] = node.model_copy(update={"labels": _there(node.labels, manifest.nodes[name].labels)})
    for edge in fitted.edges:
        own = manifest.edge(edge.edge_type)
        labels = _there(edge.labels, own.labels)
        # New edges have no hard negatives, and nobody is trained on those of the known ones.
        kept = {"labels": labels, "split_counts": own.split_counts, "hard_negatives": 0}
        edges.append(edge.model_copy(update=kept))
    folder.mkdir()
    for partition in manifest.partitions:
        (folder / partition.folder).symlink_to((attach / partition.folder).absolute())
    shown = fitted.model_copy(update={"nodes": nodes, "edges": edges})
    (folder / MANIFEST).write_text(shown.model_dump_json(), encoding="utf-8")
    return shown


def _there(labels: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {name: label for name, label in labels.items() if name in own}


def _only_read(
    tables: NewTables, known: GraphManifest, say: Callable[[str], None]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Types, features and texts that the model reads."""
    edge_schemas = {edge_name(edge.edge_type): edge for edge in known.edges if not edge.is_reverse}
    nodes: dict[str, Any] = {}
    edges: list[dict[str, Any]] = []
    left_out: list[str] = []
    for name, node in tables.nodes.items():
        if name in known.nodes:
            nodes[name] = _inputs_read(node, known.nodes[name])
        else:
            left_out.append(name)
    for edge in tables.edges:
        name = f"{edge.get('source')}:{edge.get('relation')}:{edge.get('target')}"
        if name in edge_schemas or edge.get("relation_column") is not None:
            edges.append(_inputs_read(edge, edge_schemas.get(name)))
        else:
            left_out.append(name)
    if left_out:
        say(f"left out, for the model does not read them: {', '.join(left_out)}")
    return nodes, edges


def _inputs_read(table: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """A table without the inputs that the model does not read, and without labels that it does not know."""
    kept = dict(table)
    for key in ("features", "text", "image", "labels"):
        if schema is not None and isinstance(kept.get(key), dict):
            there = getattr(schema, key, {})
            kept[key] = {name: value for name, value in kept[key].items() if name in there}
    return kept


def _fill_edges(edges: list[dict[str, Any]], known: GraphManifest, held: dict[str, pa.Table]) -> None:
    """Edge types that the new tables do not have get an empty table."""
    import pyarrow as pa

    if any(edge.get("relation_column") is not None for edge in edges):
        return  # which types these are is known once the section is read
    there = {(edge.get("source"), edge.get("relation"), edge.get("target")) for edge in edges}
    for schema in known.edges:
        if schema.is_reverse or schema.edge_type in there:
            continue
        source, relation, target = schema.edge_type
        name = f"empty.{edge_name(schema.edge_type)}"
        types = {"int64": pa.int64(), "string": pa.large_string()}
        columns = {
            "source": pa.array([], types[known.node(source).id_type]),
            "target": pa.array([], types[known.node(target).id_type]),
        }
        entry: dict[str, Any] = {"source": source, "relation": relation, "target": target, "files": [f"{SCHEME}{name}"]}
        entry["reverse"] = False if schema.reverse is None else schema.reverse[1]
        entry |= _empty_inputs(schema, columns)
        held[name] = pa.table(columns)
        edges.append(entry)


def _fill_nodes(
    nodes: dict[str, Any], known: GraphManifest, held: dict[str, pa.Table], where: str, attached: bool
) -> None:
    """Node types that the new tables do not have: known rows alone. DataError when there are none either."""
    import pyarrow as pa

    missing = []
    for name, schema in known.nodes.items():
        if name in nodes:
            continue
        if not (schema.features or schema.text or schema.image):
            nodes[name] = {}
        elif not attached:
            missing.append(name)
        else:
            columns = {"id": pa.array([], pa.int64() if schema.id_type == "int64" else pa.large_string())}
            nodes[name] = {"id": "id", "files": [f"{SCHEME}empty.{name}"], **_empty_inputs(schema, columns)}
            held[f"empty.{name}"] = pa.table(columns)
    if missing:
        raise DataError(
            f"{where}: must have the node types {', '.join(missing)}, whose features or texts the model reads. Add "
            f"their tables, or attach the new rows to a graph that has them (--attach)"
        )


def _empty_inputs(schema: Any, columns: dict[str, Any]) -> dict[str, Any]:
    """Inputs of a table without rows, made in the same way as those of the known graph; adds its columns."""
    import pyarrow as pa

    options: dict[str, Any] = {"features": {}, "text": {}}
    for name, feature in schema.features.items():
        member = (members_of(FeatureConfig) or {})[feature.fitted["encode"]]
        settings = {key: value for key, value in feature.fitted.items() if key in member.model_fields}
        options["features"][name] = {**settings, "dtype": feature.dtype}
        for column in member.model_validate(options["features"][name]).column_names():  # type: ignore[attr-defined]
            columns.setdefault(column, pa.array([], pa.null()))
    for name, text in schema.text.items():
        options["text"][name] = {"columns": text.columns} if text.template is None else {"template": text.template}
        for column in text.columns:
            columns.setdefault(column, pa.array([], pa.large_string()))
    if isinstance(schema, NodeTypeSchema) and schema.image:
        options["image"] = {}
        for name, image in schema.image.items():
            options["image"][name] = {"column": name, "size": [image.height, image.width]}
            columns.setdefault(name, pa.array([], pa.large_binary()))
    return options
