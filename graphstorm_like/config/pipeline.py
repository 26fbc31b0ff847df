"""The root of the configuration tree, and the rules that tie its parts together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from graphstorm_like.config.base import Name, Strict, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.config.task import LinkPredictionConfig, NodeClassificationConfig, TaskConfig
from graphstorm_like.config.train import Fanout, InferConfig, LaunchConfig, LocalLaunchConfig, TrainConfig
from graphstorm_like.errors import did_you_mean, unknown


class Pipeline(Strict):
    """One pipeline: graph -> model -> task -> training -> inference."""

    name: Name = "pipeline"
    output: str = "runs/{name}"
    """Folder for all that the run writes; relative to the YAML. {name} stands for the pipeline's name."""
    cache: str = "{output}/cache"
    """Folder for tokens and text vectors; pipelines may share one."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random draw derives from it."""
    graph: GraphConfig
    model: ModelConfig = ModelConfig()
    task: TaskConfig
    train: TrainConfig = TrainConfig()
    infer: InferConfig = InferConfig()
    launch: LaunchConfig = LocalLaunchConfig(on="local")

    def with_absolute_paths(self, base: Path) -> Pipeline:
        """The same pipeline with `output`, `cache`, `graph.path` and `graph.base` made absolute from `base`."""
        output = _under(base, self.output.format(name=self.name))
        cache = _under(base, self.cache.format(output=output, name=self.name))
        graph = self.graph.model_copy(
            update={
                "path": _under(base, self.graph.path) if self.graph.path else f"{output}/graph",
                "base": _under(base, self.graph.base) if self.graph.base else str(base),
            }
        )
        return self.model_copy(update={"output": output, "cache": cache, "graph": graph})


def _under(base: Path, path: str) -> str:
    """`path` from `base`, unless it is absolute or a URL."""
    if "://" in path:
        return path
    return str((base / Path(path).expanduser()).absolute())


Problem = tuple[tuple[str | int, ...], str]
"""(path in the YAML, message)"""


def cross_check(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Rules between parts. `sections` holds those parts that are valid by themselves, so that one bad section
    does not hide what is wrong elsewhere."""
    for needs, check in _CHECKS:
        if all(n in sections for n in needs):
            yield from check(*(sections[n] for n in needs))


def _check_edges(graph: GraphConfig) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], int] = {}
    for i, edge in enumerate(graph.edges):
        for end in ("source", "target"):
            node_type = getattr(edge, end)
            if node_type not in graph.nodes:
                yield ("graph", "edges", i, end), unknown("", "node type", node_type, graph.nodes).lstrip(": ")
            elif not graph.nodes[node_type].files and edge.on_unknown_node == "drop":
                yield (
                    ("graph", "edges", i, "on_unknown_node"),
                    f"must be error or create, for node type '{node_type}' has no table: every edge would be dropped "
                    f"(got 'drop')",
                )
        for found in filter(None, (edge.edge_type, edge.reverse_type)):
            if found in seen:
                yield (
                    ("graph", "edges", i),
                    f"must be a new edge type (got '{edge_name(found)}', which graph.edges[{seen[found]}] makes "
                    f"already). Rename the relation, or set `reverse`",
                )
            seen.setdefault(found, i)
    linked = {t for e in graph.edges for t in (e.source, e.target)}
    for name, node in graph.nodes.items():
        if not node.files and name not in linked:
            yield (
                ("graph", "nodes", name),
                "must have 'files', or be the source or target of an edge: there is nothing to take its ids from",
            )


def _check_node_task(graph: GraphConfig, task: Any) -> Iterator[Problem]:
    if not isinstance(task, NodeClassificationConfig):
        return
    if task.node_type not in graph.nodes:
        yield ("task", "node_type"), unknown("", "node type", task.node_type, graph.nodes).lstrip(": ")
        return
    labels = graph.nodes[task.node_type].labels
    if task.label not in labels:
        yield ("task", "label"), unknown("", "label", task.label, labels).lstrip(": ")
    elif labels[task.label].kind != "class":
        yield (
            ("task", "label"),
            f"must be a label of kind class for {task.type} (got '{task.label}' of kind {labels[task.label].kind})",
        )


def _check_link_task(graph: GraphConfig, task: Any) -> Iterator[Problem]:
    if not isinstance(task, LinkPredictionConfig):
        return
    by_type = {edge_name(e.edge_type): e for e in graph.edges}
    name = edge_name(task.edge_type)
    if name not in by_type:
        yield ("task", "edge_type"), unknown("", "edge type", name, by_type).lstrip(": ")
    elif by_type[name].split is None:
        at = [e.edge_type for e in graph.edges].index(task.edge_type)
        yield (
            ("task", "edge_type"),
            f"must be an edge type with a split (got '{name}'). Add graph.edges[{at}].split",
        )


def _check_inputs(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    for name, wanted in model.inputs.items():
        if name not in graph.nodes:
            yield ("model", "inputs", name), unknown("", "node type", name, graph.nodes).lstrip(": ")
            continue
        node = graph.nodes[name]
        for kind, have in (("features", node.features), ("text", node.text)):
            for item in getattr(wanted, kind) or ():
                if item not in have:
                    yield ("model", "inputs", name, kind), unknown("", f"{kind} column", item, have).lstrip(": ")
    for name, node in graph.nodes.items():
        used = model.inputs.get(name, NodeInputConfig()).text
        if node.text and (used is None or used) and model.text_encoder is None:
            yield (
                ("model", "text_encoder"),
                f"must be given, for graph.nodes.{name} has text. Name one, or leave the text out with "
                f"model.inputs.{name}.text: []",
            )


def _check_fanouts(graph: GraphConfig, model: ModelConfig, train: TrainConfig) -> Iterator[Problem]:
    layers = 0 if model.gnn.type == "none" else model.gnn.layers
    if layers and len(train.fanouts) != layers:
        yield (
            ("train", "fanouts"),
            f"must have one entry per GNN layer (got {len(train.fanouts)}, model.gnn.layers is {layers})",
        )
    yield from _check_fanout_types(graph, train.fanouts, ("train", "fanouts"))


def _check_fanout_types(graph: GraphConfig, fanouts: list[Fanout], at: tuple[str, ...]) -> Iterator[Problem]:
    known = [edge_name(t) for t in graph.edge_types()]
    for i, fanout in enumerate(fanouts):
        for key in fanout.by_edge_type:
            if key not in known:
                yield (*at, i, "by_edge_type", key), unknown("", "edge type", key, known).lstrip(": ")


def _check_infer(graph: GraphConfig, model: ModelConfig, infer: InferConfig) -> Iterator[Problem]:
    for i, name in enumerate(infer.embeddings or ()):
        if name not in graph.nodes:
            yield (
                ("infer", "embeddings", i),
                f"unknown node type '{name}' (known: {', '.join(sorted(graph.nodes))}).{did_you_mean(name, graph.nodes)}",
            )
    if infer.fanouts is not None:
        layers = 0 if model.gnn.type == "none" else model.gnn.layers
        if layers and len(infer.fanouts) != layers:
            yield (
                ("infer", "fanouts"),
                f"must have one entry per GNN layer (got {len(infer.fanouts)}, model.gnn.layers is {layers})",
            )
        yield from _check_fanout_types(graph, infer.fanouts, ("infer", "fanouts"))


_CHECKS: list[tuple[tuple[str, ...], Callable[..., Iterator[Problem]]]] = [
    (("graph",), _check_edges),
    (("graph", "task"), _check_node_task),
    (("graph", "task"), _check_link_task),
    (("graph", "model"), _check_inputs),
    (("graph", "model", "train"), _check_fanouts),
    (("graph", "model", "infer"), _check_infer),
]
