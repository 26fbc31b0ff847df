"""The rules between times of the graph, `model.time`, and the other parts of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.problems import Path, Problem, ends_known, unknown_name
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.temporal import END, OWN, TemporalConfig
from graphstorm_like.config.times import TimeConfig
from graphstorm_like.config.train import InferConfig, TrainConfig

_AT = ("model", "time")


def check_times(graph: GraphConfig) -> Iterator[Problem]:
    """All times of a graph are of one kind."""
    first: tuple[str, str] | None = None
    tables: list[tuple[Path, str, TimeConfig | None]] = []
    for name, node in graph.nodes.items():
        tables.append((("graph", "nodes", name), f"graph.nodes.{name}", node.time))
    for i, edge in enumerate(graph.edges):
        tables.append((("graph", "edges", i), graph.edge_key(i), edge.time))
    for where, key, time in tables:
        if time is None:
            continue
        if first is None:
            first = (key, time.kind)
        elif time.kind != first[1]:
            yield (
                (*where, "time", "unit"),
                f"must make all times of one kind: {first[0]} has a {first[1]} (got a {time.kind}). "
                f"unit: number makes numbers, all others points in time",
            )


def timed_edges(graph: GraphConfig) -> dict[EdgeType, EdgeConfig]:
    """Edge types that have a time, of their own or of their nodes, reverse types too."""
    timed = {}
    for edge in graph.edges:
        ends = [graph.nodes[name] for name in (edge.source, edge.target) if name in graph.nodes]
        if edge.time is not None or any(node.time is not None for node in ends):
            timed[edge.edge_type] = edge
            if edge.reverse_type is not None:
                timed[edge.reverse_type] = edge
    return timed


def check_temporal(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    """`model.time` against the times of the graph, and against the network."""
    time = model.time
    if time is None:
        return
    timed = timed_edges(graph)
    if not timed:
        yield _AT, "must be left out: no edge type of the graph has a time. Set graph.edges[].time"
        return
    yield from _check_kinds(graph, time)
    if ends_known(graph):
        names = list(map(edge_name, graph.edge_types()))
        timed_names = set(map(edge_name, timed))
        for name in time.windows:
            if name not in names:
                yield (*_AT, "windows", name), unknown_name("edge type", name, names)
            elif name not in timed_names:
                yield (*_AT, "windows", name), "must be an edge type with a time (this one has none)"
    gnn, where = model.gnn, ("model", "gnn", "type")
    if gnn.hops == 0:
        yield _AT, f"means nothing with model.gnn.type: {gnn.type}, which samples no neighbours. Remove it"
    elif gnn.reads_degrees:
        yield where, f"must be another network with model.time (got {gnn.type}): degrees count edges of the future too"
    for name, inputs in model.inputs.items():
        if inputs.neighbors:
            at = ("model", "inputs", name, "neighbors")
            yield at, "must be false with model.time: averages of all neighbours hold those of the future"
    if time.at != END:
        yield from _check_structure(graph, model)


def _check_structure(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    for node_type, feature, encode in inputs_of_all_edges(graph, model):
        rule = f"must not name '{feature}' with model.time: {encode} counts edges of the future too"
        yield ("model", "inputs", node_type, "features"), f"{rule}. List the others, or set model.time.at: end"


def inputs_of_all_edges(graph: GraphConfig, model: ModelConfig) -> Iterator[tuple[str, str, str]]:
    """Features that the model reads and that are made of all edges, so that they know those of the future; at the end
    of time there is none. (node type, name, encode) of each."""
    for name, node in graph.nodes.items():
        chosen = model.inputs[name].features if name in model.inputs else None
        for feature, config in node.features.items():
            if not config.of_columns and (chosen is None or feature in chosen):
                yield name, feature, config.encode


def _check_kinds(graph: GraphConfig, time: TemporalConfig) -> Iterator[Problem]:
    """Points in time and windows are written as the graph's times are."""
    given = [*(node.time for node in graph.nodes.values()), *(edge.time for edge in graph.edges)]
    wants_number = any(of_table is not None and of_table.kind == "number" for of_table in given)
    as_number = "must be a number, as the graph's times are"
    if time.at not in (OWN, END) and isinstance(time.at, str) == wants_number:
        rule = as_number if wants_number else "must be a date such as '2024-01-31'"
        yield (*_AT, "at"), f"{rule} (got {time.at!r})"
    durations: list[tuple[Path, str | int | float | None]] = [(("window",), time.window)]
    durations += [(("windows", name), duration) for name, duration in time.windows.items()]
    for where, duration in durations:
        if duration is not None and isinstance(duration, str) == wants_number:
            rule = as_number if wants_number else "must be a time such as 30d"
            yield (*_AT, *where), f"{rule} (got {duration!r})"


def check_own_times(graph: GraphConfig, model: ModelConfig, task: TaskConfig, infer: InferConfig) -> Iterator[Problem]:
    """Rows that have points in time of their own."""
    if task.shows_past and not (model.time is not None and model.time.is_own and model.time.strict):
        message = "must be false unless model.time has at: own and strict: true, for edges would see themselves"
        yield ("task", "past_passes"), message
    if model.time is not None and task.reads_pairs:
        yield ("task", "pairs"), "must be left out with model.time: it counts edges of the future too"
    if model.time is None or not model.time.is_own:
        return
    at, row_type = (*_AT, "at"), task.row_type
    if row_type is None:
        yield at, f"must be end or a point in time with task.type: {task.type} (got own): its rows are of several types"
    elif isinstance(row_type, str):
        if row_type in graph.nodes and graph.nodes[row_type].time is None:
            yield at, f"must be end or a point in time (got own): graph.nodes.{row_type} has no time"
        else:
            yield from task.check_own_times(infer.predictions)
    elif row_type in graph.edge_types() and row_type not in timed_edges(graph):
        yield at, f"must be end or a point in time (got own): {edge_name(row_type)} has no time"
    else:
        yield from task.check_own_times(infer.predictions)


def check_temporal_runs(model: ModelConfig, train: TrainConfig, launch: LaunchConfig) -> Iterator[Problem]:
    """Where and how temporal models train."""
    if model.time is None:
        return
    if launch.uses_dgl:
        yield (
            ("launch", "store"),
            "must be own with model.time (got dgl): DGL's servers sample without regard to time",
        )
    if train.draw_by is not None:
        yield ("train", "draw_by"), "must be left out with model.time, which draws evenly or the latest of the past"
    if any(phase.trains_lm and phase.trains_graph for phase in train.phase_list()):
        where: Path = ("train", "strategy") if train.phases is None else ("train", "phases")
        yield where, "must not train language models and a graph network at once with model.time. Set strategy: staged"
