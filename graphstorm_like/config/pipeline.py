"""The root of the configuration tree, and the rules that tie its parts together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from graphstorm_like.config.adversarial import check_adversarial, check_attacks
from graphstorm_like.config.base import EdgeType, KeyedError, Name, Strict, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.config.images import check_images
from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.config.launchers.local import LocalLaunchConfig
from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.config.phases import PhaseSurroundings
from graphstorm_like.config.presets import Quality
from graphstorm_like.config.problems import Problem, below, check_input_names, ends_known, unknown_name
from graphstorm_like.config.sql import refuse_secrets
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.temporal_checks import check_own_times, check_temporal, check_temporal_runs, check_times
from graphstorm_like.config.train import Fanout, InferConfig, TrainConfig


def _only(*allowed: str) -> AfterValidator:
    """Refuse placeholders that would stay in a path as they are."""

    def check(path: str) -> str:
        if any(placeholder not in allowed for placeholder in re.findall(r"\{\w*\}", path)):
            raise ValueError(f"must have no placeholder but {' and '.join(allowed)}")
        return path

    return AfterValidator(check)


class Pipeline(Strict):
    """One pipeline: graph -> model -> task -> training -> inference."""

    name: Name = "pipeline"
    """Of the pipeline; part of results and, by default, of the output folder's name."""
    output: Annotated[str, _only("{name}")] = "runs/{name}"
    """Folder for everything that the run writes; relative to the YAML. {name} stands for the pipeline's name. A URL
    (s3://bucket/run): the run works in `work` and is kept equal with the store."""
    cache: Annotated[str, _only("{name}", "{output}")] = "{output}/cache"
    """Folder or URL for tokens and text vectors; pipelines may share one. {output} stands for the output folder."""
    work: Annotated[str, _only("{name}")] | None = None
    """Local folder to work in where output, cache or graph.path are URLs; null: one a URL in the user's cache."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of every random draw."""
    quality: Quality | None = None
    """fast: minutes, for a first look. good: a frozen language model and a graph network with time to converge. best:
    the language model is tuned first, which takes far longer. It sets strategy and budgets that are not given; null:
    the defaults of the keys themselves."""
    plugins: list[str] = []
    """Modules that register operators of your own: `my_package.hgt`, or a file from the YAML's folder,
    `./my_operators.py`. They are imported, and so executed, whenever a command is given this YAML; what is read out of
    the folder of a run or a model imports nothing unless you allow it: --plugins."""
    report: bool = True
    """Whether `gsl run` ends with report.html and report.json in the output folder; `gsl report` makes them at any
    time."""
    baselines: bool = True
    """Whether `gsl run` ends with simple models that take seconds, on the same splits, whose scores stand beside its
    own (baselines.json); `gsl baseline` fits all of them."""
    graph: GraphConfig
    model: ModelConfig = ModelConfig()
    task: TaskConfig
    """What is predicted, and how it is scored."""
    train: TrainConfig = TrainConfig()
    infer: InferConfig = InferConfig()
    launch: LaunchConfig = LocalLaunchConfig(on="local")
    """Where the run takes place: this machine, or several."""

    @model_validator(mode="after")
    def _without_secrets(self) -> Pipeline:
        """Here, not at the keys: their errors would show the value."""
        for key in ("output", "cache", "work"):
            refuse_secrets(key, getattr(self, key))
        return self

    @model_validator(mode="after")
    def _work_belongs_to_urls(self) -> Pipeline:
        if self.work is None:
            return self
        if "://" in self.work:
            raise KeyedError("work", "must be a local folder: weights and vectors are memory-mapped")
        if not any("://" in place for place in (self.output, self.cache, self.graph.path or "")):
            raise KeyedError("work", "must be left out where output, cache and graph.path are local folders")
        return self

    @model_validator(mode="after")
    def _fill_in_fanouts(self) -> Pipeline:
        """One per layer of the graph network. The model is frozen, so this bypasses its assignment."""
        object.__setattr__(self, "train", self.train.with_fanouts(self.model.gnn.hops))
        return self

    def with_absolute_paths(self, base: Path) -> Pipeline:
        """The same pipeline with its folders (output, cache, graph, tables, text encoder) made absolute from `base`."""
        output = _under(base, self.output.replace("{name}", self.name))
        cache = _under(base, self.cache.replace("{name}", self.name).replace("{output}", output))
        graph_path = _under(base, self.graph.path) if self.graph.path else f"{output}/graph"
        graph_base = _under(base, self.graph.base) if self.graph.base else str(base)
        known = {key: _under(base, folder) for key in ("like", "add_to") if (folder := getattr(self.graph, key))}
        graph = self.graph.model_copy(update={"path": graph_path, "base": graph_base, **known})
        work = None if self.work is None else _under(base, self.work.replace("{name}", self.name))
        changed: dict[str, Any] = {"output": output, "cache": cache, "graph": graph, "work": work}
        asked: dict[str, Any] = {"nodes": {name: _under(base, file) for name, file in self.infer.nodes.items()}}
        if self.infer.pairs is not None:
            asked["pairs"] = _under(base, self.infer.pairs)
        if self.infer.queries is not None:
            asked["queries"] = _under(base, self.infer.queries)
        changed["infer"] = self.infer.model_copy(update=asked)
        changed["launch"] = self.launch.with_paths(partial(_under, base))
        return self.model_copy(update={**changed, "model": self._model(base), "train": self._train(base)})

    def _model(self, base: Path) -> ModelConfig:
        """With text encoders' folders made absolute."""
        absolute = partial(_under, base)
        encoders = {key: encoder.with_paths(absolute) for key, encoder in self.model.text_encoders().items()}
        return self.model.with_encoders(encoders)

    def _train(self, base: Path) -> TrainConfig:
        """The same for language models that phases name, and for trackers."""
        absolute = partial(_under, base)
        trackers = [tracker.with_paths(absolute) for tracker in self.train.track.trackers]
        changed: dict[str, Any] = {"track": self.train.track.model_copy(update={"trackers": trackers})}
        start = self.train.start_from
        if start is not None:
            changed["start_from"] = start.model_copy(update={"run": absolute(start.run)})
        if self.train.phases is not None:
            phases = self.train.phases
            changed["phases"] = [p.with_own_encoders(lambda encoder: encoder.with_paths(absolute)) for p in phases]
        return self.train.model_copy(update=changed)


def _under(base: Path, path: str) -> str:
    """`path` from `base`, unless it is absolute or a URL."""
    path = path.removeprefix("file://")
    if "://" in path:
        return path
    return str((base / Path(path).expanduser()).absolute())


def cross_check(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Rules between parts. `sections` holds the parts that are valid by themselves, so that one bad section
    does not hide problems elsewhere."""
    for needs, check in _CHECKS:
        if all(n in sections for n in needs):
            yield from check(*(sections[n] for n in needs))


def _check_edges(graph: GraphConfig) -> Iterator[Problem]:
    for i, edge in enumerate(graph.edges):
        for end in ("source", "target"):
            node_type = getattr(edge, end)
            if node_type not in graph.nodes:
                yield ("graph", "edges", i, end), unknown_name("node type", node_type, graph.nodes)
        # An end without a table takes its ids from the edges that the other end's table leaves.
        tables = [graph.nodes[t].has_table for t in (edge.source, edge.target) if t in graph.nodes]
        if edge.on_unknown_node == "drop" and len(tables) == 2 and not any(tables):
            yield (
                ("graph", "edges", i, "on_unknown_node"),
                f"must be 'error' or 'create' (got 'drop'): neither '{edge.source}' nor '{edge.target}' has a table "
                f"that could lack a node",
            )
    linked: set[str] = set()
    for edge in graph.edges:
        linked |= {edge.source, edge.target}
    for name, node in graph.nodes.items():
        if not node.has_table and name not in linked and ends_known(graph):
            yield (
                ("graph", "nodes", name),
                "must have 'files', or be the source or target of an edge: there is nothing to take its ids from",
            )


def _check_edge_types(graph: GraphConfig) -> Iterator[Problem]:
    first_entries: dict[EdgeType, tuple[int, str]] = {}
    for i, edge in enumerate(graph.edges):
        edge_type, reverse = edge.edge_type, edge.reverse_type
        if edge_type in first_entries:
            first, kind = first_entries[edge_type]
            fix = f"set graph.edges[{first}].reverse: false" if kind else f"add its files to graph.edges[{first}]"
            yield (
                ("graph", "edges", i),
                f"must be a new edge type (got '{edge_name(edge_type)}', which is {kind}graph.edges[{first}]). "
                f"Rename the relation, or {fix}",
            )
        elif reverse is not None and (reverse in first_entries or reverse == edge_type):
            first, kind = first_entries.get(reverse, (i, ""))
            yield (
                ("graph", "edges", i, "reverse"),
                f"must make a new edge type (got '{edge_name(reverse)}', which is {kind}graph.edges[{first}]). "
                f"Name another relation, or set reverse: false",
            )
        first_entries.setdefault(edge_type, (i, ""))
        if reverse is not None:
            first_entries.setdefault(reverse, (i, "the reverse of "))


def _check_task(graph: GraphConfig, task: TaskConfig) -> Iterator[Problem]:
    return below(("task",), task.check(graph))


def _check_validation(graph: GraphConfig, task: TaskConfig, train: TrainConfig) -> Iterator[Problem]:
    if train.evaluate_every is not None:
        yield from below(("task",), task.check_validation(graph))


def _read_message_texts(graph: GraphConfig, model: ModelConfig) -> list[str]:
    """Names of the edge types whose texts enter messages."""
    edges = _edges_by_name(graph)
    return [
        name for name, inputs in model.edge_inputs.items() if name in edges and edges[name].text and inputs.text != []
    ]


def _check_scored_text(graph: GraphConfig, model: ModelConfig, task: TaskConfig) -> Iterator[Problem]:
    if model.text_encoder is None and task.reads_edge_text(graph):
        yield (
            ("model", "text_encoder"),
            "must be given, for task.inputs reads text (or leave that out there)",
        )


def _check_inputs(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    for name, inputs in model.inputs.items():
        at = ("model", "inputs", name)
        if name not in graph.nodes:
            yield at, unknown_name("node type", name, graph.nodes)
            continue
        yield from check_input_names(at, inputs, graph.nodes[name])


def _check_structure(graph: GraphConfig) -> Iterator[Problem]:
    """Features that come from edges name edge types of the graph."""
    if not ends_known(graph):
        return
    edge_types = [edge.edge_type for edge in graph.edges]
    for node_type, node in graph.nodes.items():
        for name, feature in node.features.items():
            at = ("graph", "nodes", node_type, "features", name)
            yield from below(at, feature.check_edges(node_type, edge_types))


def _edges_by_name(graph: GraphConfig) -> dict[str, EdgeConfig]:
    """Reverse types too: they have the features and texts of their originals."""
    edges: dict[str, EdgeConfig] = {}
    for edge in graph.edges:
        edges[edge_name(edge.edge_type)] = edge
        if edge.reverse_type is not None:
            edges[edge_name(edge.reverse_type)] = edge
    return edges


def _check_edge_inputs(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    if model.edge_inputs and model.gnn.hops == 0:
        kind = f"model.gnn.type: {model.gnn.type}"
        yield ("model", "edge_inputs"), f"means nothing with {kind}, which passes no messages. Remove it"
    edges = _edges_by_name(graph)
    for name, inputs in model.edge_inputs.items():
        at = ("model", "edge_inputs", name)
        if name not in edges:
            if ends_known(graph):
                yield at, unknown_name("edge type", name, edges)
        elif not edges[name].features and not edges[name].text:
            yield at, f"must be an edge type with features or text (got '{name}', which has neither). Remove it"
        else:
            yield from check_input_names(at, inputs, edges[name])


def _check_averages(graph: GraphConfig, model: ModelConfig, task: TaskConfig, train: TrainConfig) -> Iterator[Problem]:
    """Averages are made once: of the whole graph, whose edges no task may predict, and of inputs that do not learn."""
    asked: dict[tuple[str, ...], str] = {}
    if model.gnn.averaged_hops:
        asked["model", "gnn", "type"] = "must be another network"
    for name, inputs in model.inputs.items():
        if inputs.neighbors:
            asked["model", "inputs", name, "neighbors"] = "must be false"
    for at, rule in asked.items():
        if task.relations([edge.edge_type for edge in graph.edges]):
            yield at, f"{rule} for {task.type}: the averages would hold the edges to predict"
        if any(phase.trains_lm and phase.trains_graph for phase in train.phase_list()):
            yield at, f"{rule} where language models learn with it: the averages are of fixed vectors"
        if model.gnn.averaged_hops and len(at) == 4:
            yield at, f"{rule} with gnn.type: {model.gnn.type}, which averages the inputs of all neighbours"


def _check_kept(train: TrainConfig, infer: InferConfig) -> Iterator[Problem]:
    if infer.kept > train.keep_best:
        yield ("infer", "kept"), f"must be at most train.keep_best, {train.keep_best} (got {infer.kept})"
        return
    last = train.phase_list()[-1].settings(train)
    if last.evaluate_every is None or last.evaluate_steps is not None:
        return
    validations = -(-last.epochs // last.evaluate_every)  # the last epoch is always validated
    if infer.kept > validations:
        yield (
            ("infer", "kept"),
            f"must be at most {validations}, the validations of {last.epochs} epochs, one every {last.evaluate_every} "
            f"(got {infer.kept}). Train for more epochs, or set train.evaluate_steps",
        )


def _check_edge_weights(graph: GraphConfig, model: ModelConfig, train: TrainConfig) -> Iterator[Problem]:
    features = dict.fromkeys(name for edge in graph.edges for name in edge.features)
    named = {("model", "gnn", "edge_weight"): model.gnn.weight_column, ("train", "draw_by"): train.draw_by}
    for key, column in named.items():
        if column is not None and ends_known(graph) and column not in features:
            yield key, unknown_name("feature of edges", column, features)


def _check_text_encoder(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    read: dict[str, str] = {}
    for name, node in graph.nodes.items():
        inputs = model.inputs.get(name, NodeInputConfig())
        if node.text and inputs.text != [] and inputs.text_encoder is None:
            read[name] = f"inputs.{name}"
    read |= {name: f"edge_inputs.{name}" for name in _read_message_texts(graph, model)}
    if read and model.text_encoder is None:
        names = " and ".join(f"'{name}'" for name in read)
        yield (
            ("model", "text_encoder"),
            f"must be given, for the model reads the text of {names}. Name one, or leave the text out with "
            f"model.{next(iter(read.values()))}.text: []",
        )


def _read_text(graph: GraphConfig, model: ModelConfig, node_type: str) -> bool:
    """Whether the model reads a text of a node type."""
    texts = model.inputs.get(node_type, NodeInputConfig()).text
    return node_type in graph.nodes and bool(graph.nodes[node_type].text if texts is None else texts)


def _check_phases(graph: GraphConfig, model: ModelConfig, task: TaskConfig, train: TrainConfig) -> Iterator[Problem]:
    """Each phase checks its own rules; a task of its own is checked like the pipeline's."""
    if any(phase.trains_lm for phase in train.phase_list()):
        yield from model.untrainable()
        if train.ema is not None:
            yield ("train", "ema"), f"must be left out with strategy {train.strategy}, which trains language models"
    for i, phase in enumerate(train.phase_list()):
        where: tuple[str | int, ...] = ("train", "strategy") if train.phases is None else ("train", "phases", i)
        learns = phase.task_of(task)
        if learns is not task:
            yield from below(where, _check_task(graph, learns))
            yield from _check_scored_text(graph, model, learns)
        task_types = [node_type for node_type in _task_types(graph, learns) if node_type in graph.nodes]
        text_types = {node_type for node_type in graph.nodes if _read_text(graph, model, node_type)}
        around = PhaseSurroundings(
            task=learns,
            task_node_types=tuple(task_types),
            text_node_types=text_types,
            reads_edge_text=learns.reads_edge_text(graph),
            message_texts=tuple(_read_message_texts(graph, model)),
        )
        for message in phase.check(around):
            yield where, message


def _check_store(launch: LaunchConfig, train: TrainConfig) -> Iterator[Problem]:
    if launch.uses_dgl and not launch.dgl.trusted_network:
        yield (
            ("launch", "dgl", "trusted_network"),
            "must be true for launch.store: dgl. DGL's messages are neither authenticated nor encrypted: whoever "
            "reaches its ports can read the graph, take a trainer's place, stop the job, and perhaps run code in its "
            "processes. Set it where nobody else reaches the hosts' network, or set launch.store: own",
        )
    if launch.uses_dgl and launch.wire != "float32":
        yield (
            ("launch", "wire"),
            f"must be float32 with launch.store: dgl, which sends all rows as they are (got {launch.wire})",
        )
    if launch.uses_dgl and train.workers:
        yield (
            ("train", "workers"),
            f"must be 0 with launch.store: dgl (got {train.workers}): DGL's servers know their clients from the start, "
            f"and sampler processes come and go. Set it to 0, or set launch.store: own",
        )
    if launch.uses_dgl and train.draw_by is not None:
        yield (
            ("train", "draw_by"),
            "must be left out with launch.store: dgl, whose sampler draws uniformly. Set launch.store: own",
        )


def _task_types(graph: GraphConfig, task: TaskConfig) -> tuple[str, ...]:
    """Node types whose vectors a task reads."""
    return task.node_types([edge.edge_type for edge in graph.edges])


def _check_fanouts(graph: GraphConfig, model: ModelConfig, train: TrainConfig) -> Iterator[Problem]:
    yield from _check_fanout_list(graph, model, train.with_fanouts(model.gnn.hops).fanouts, ("train", "fanouts"))


def _check_infer(graph: GraphConfig, model: ModelConfig, infer: InferConfig) -> Iterator[Problem]:
    for i, name in enumerate(infer.embeddings or ()):
        if name not in graph.nodes:
            yield ("infer", "embeddings", i), unknown_name("node type", name, graph.nodes)
    for name in infer.nodes:
        if name not in graph.nodes:
            yield ("infer", "nodes", name), unknown_name("node type", name, graph.nodes)
    if infer.fanouts is not None and infer.mode == "layer_wise":
        yield ("infer", "fanouts"), "means nothing with mode: layer_wise, which takes all neighbours. Remove it"
    elif infer.fanouts is not None:
        yield from _check_fanout_list(graph, model, infer.fanouts, ("infer", "fanouts"))


def _check_pairs(task: TaskConfig, infer: InferConfig) -> Iterator[Problem]:
    """Pairs are the ends of edges of the task's type, questions name one of its relations."""
    if infer.pairs is not None and not isinstance(task.row_type, tuple) and not task.asks_relations:
        yield ("infer", "pairs"), f"must be left out with task.type: {task.type}, which is not about pairs of nodes"
    if infer.queries is not None and not task.asks_relations:
        yield ("infer", "queries"), "must be left out without task.edge_types. It is for links of several edge types"
    if infer.queries is not None and infer.pairs is not None:
        yield ("infer", "queries"), "must be left out with infer.pairs. Ask for both one after the other"
    if task.reads_pairs and not infer.search.is_exact:
        yield ("infer", "search"), "must be exact with task.pairs: no index knows the graph between two nodes"
    if task.asks_relations and not infer.search.is_exact:
        yield ("infer", "search"), "must be exact with task.edge_types, whose relations compare vectors in other ways"


def _check_fanout_list(
    graph: GraphConfig, model: ModelConfig, fanouts: list[Fanout], at: tuple[str, ...]
) -> Iterator[Problem]:
    layers = model.gnn.hops
    if layers and len(fanouts) != layers:
        yield at, f"must have one entry per GNN layer (got {len(fanouts)}; model.gnn.layers is {layers})"
    if not ends_known(graph):
        return
    names = [edge_name(t) for t in graph.edge_types()]
    for i, fanout in enumerate(fanouts):
        for key in fanout.by_edge_type:
            if key not in names:
                yield (*at, i, "by_edge_type", key), unknown_name("edge type", key, names)


def _check_hosts(graph: GraphConfig, launch: LaunchConfig) -> Iterator[Problem]:
    """An existing graph folder is checked when the hosts start."""
    if launch.hosts > 1 and graph.partitions.count != launch.hosts and any(e.has_table for e in graph.edges):
        yield (
            ("launch", "hosts"),
            f"must be graph.partitions.count, {graph.partitions.count} (got {launch.hosts}): each host owns a "
            f"partition. Set graph.partitions.count: {launch.hosts}",
        )


def _check_phases_on_hosts(model: ModelConfig, train: TrainConfig, launch: LaunchConfig) -> Iterator[Problem]:
    for phase in train.phase_list():
        yield from phase.check_hosts(model, launch.hosts)


_CHECKS: list[tuple[tuple[str, ...], Callable[..., Iterator[Problem]]]] = [
    (("graph",), _check_edges),
    (("graph",), _check_edge_types),
    (("graph",), _check_structure),
    (("graph", "task"), _check_task),
    (("graph", "task", "train"), _check_validation),
    (("graph", "model"), _check_inputs),
    (("graph", "model"), check_images),
    (("graph", "model"), _check_edge_inputs),
    (("graph", "model", "train"), _check_edge_weights),
    (("train", "infer"), _check_kept),
    (("graph", "model"), _check_text_encoder),
    (("graph", "model", "task"), _check_scored_text),
    (("graph", "model", "train"), _check_fanouts),
    (("graph", "model", "task", "train"), _check_averages),
    (("graph",), check_times),
    (("graph", "model"), check_temporal),
    (("graph", "model", "task", "infer"), check_own_times),
    (("model", "train", "launch"), check_temporal_runs),
    (("graph", "model", "infer"), _check_infer),
    (("task", "infer"), _check_pairs),
    (("graph", "model", "task", "train"), _check_phases),
    (("graph", "launch"), _check_hosts),
    (("launch", "train"), _check_store),
    (("train",), check_adversarial),
    (("task", "train", "infer", "launch"), check_attacks),
    (("model", "train", "launch"), _check_phases_on_hosts),
]
