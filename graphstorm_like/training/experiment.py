"""Config + graph folder -> everything that training and inference run on: graph, text vectors, model, task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import Graph, NodeType, RowType, type_name
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.inputs import NodeInputSpec
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.models.text_model import TextModel
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.stages import FeatureSource, FetchFeatures, GraphFeature, SampleNeighbors
from graphstorm_like.tasks import Objective, Task, build_task, task_node_types
from graphstorm_like.tasks import open_graph as open_task_graph
from graphstorm_like.training.device import choose_device, uses_bfloat16
from graphstorm_like.training.edge_inputs import edge_sources
from graphstorm_like.training.optim import ParameterGroup, module_groups
from graphstorm_like.training.progress import Reporter
from graphstorm_like.training.text_vectors import CachedText, TextVectors, chosen_inputs, text_vectors

Sources = dict[RowType, dict[str, FeatureSource]]


@dataclass(frozen=True)
class Experiment:
    """A model and its task over a graph, on a device. `modules` holds both: what validation selects and is saved."""

    pipeline: Pipeline
    graph: Graph
    sources: Sources
    modules: nn.ModuleDict
    device: torch.device

    @property
    def model(self) -> LmGnn:
        """Inputs and graph encoder."""
        model = self.modules["model"]
        assert isinstance(model, LmGnn)
        return model

    @property
    def task(self) -> Task:
        """Head, loss and metrics."""
        task = self.modules["task"]
        assert isinstance(task, Task)
        return task

    @property
    def objective(self) -> Objective:
        """What training minimises."""
        return self.task

    @property
    def half(self) -> bool:
        """Whether products run under bfloat16 autocast."""
        return uses_bfloat16(self.pipeline.train.precision, self.device)

    # -- what the training loop asks; experiments whose language model learns answer otherwise ----------------------

    @property
    def trained(self) -> nn.Module:
        """All that a resume point holds: `modules`, and what else changes in training."""
        return self.modules

    def batches(self) -> BatchPipeline:
        """Seeder and stages of training batches."""
        train = self.pipeline.train
        return BatchPipeline(
            self.objective.seeder(self.pipeline.seed),
            [
                SampleNeighbors(
                    self.graph,
                    train.fanouts[: self.model.gnn.num_hops],
                    self.pipeline.seed,
                    exclude_targets=self.task.exclude_targets,
                ),
                FetchFeatures(self.sources),
            ],
        )

    def groups(self) -> list[ParameterGroup]:
        """Dense parameters that learn."""
        return module_groups(self.modules, self.pipeline.train)

    def backward(self, batch: MiniBatch) -> tuple[float, float]:
        """Forward and backward of one batch, which is on the device: (sum of losses, their weight)."""
        torch.manual_seed(torch_seed(self.pipeline.seed, "dropout", batch.position.epoch, batch.position.step))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            loss, count = self.objective.loss(self.model(batch), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item(), count

    def stepped(self, updates: int) -> dict[str, float]:
        """After an optimizer step, of which there were `updates`: numbers for the log."""
        return {}

    def before_validation(self) -> None:
        """Whatever is out of date is made up to date: validation must see what inference will."""

    def at(self, updates: int) -> None:
        """Training stands at `updates` steps: said at the start and after a resume."""

    def save_text_models(self) -> Callable[[Path], None] | None:
        """Writes the language models that the weights belong to into a folder; None: those of the configuration."""
        return None

    def embedder(self, reporter: Reporter | None = None, memo: dict[NodeType, Vectors] | None = None) -> Embedder:
        """For vectors of many nodes. memo: see Embedder."""
        return Embedder(
            self.model,
            self.graph,
            self.sources,
            self.device,
            self.pipeline.train.fanouts,
            self.pipeline.infer.batch_size,
            None if reporter is None else reporter.follow(),
            Path(self.pipeline.output),
            memo,
        )

    @property
    def text_weights(self) -> dict[str, str]:
        """Fingerprint of the language model behind each text input: its weights may change under one name."""
        return {
            f"{type_name(t)}.{name}": source.cache.meta["weights"]
            for t, inputs in self.sources.items()
            for name, source in inputs.items()
            if isinstance(source, CachedText)
        }


@dataclass(frozen=True)
class GraphInputs:
    """Sources of all inputs of a graph model, and what its encoders must know of them."""

    sources: Sources
    nodes: dict[NodeType, NodeInputSpec]
    edges: dict[EdgeType, EdgeInputSpec]


def graph_inputs(pipeline: Pipeline, graph: Graph, vectors: TextVectors) -> GraphInputs:
    """Inputs of every node type, and of the edge types that `model.edge_inputs` names."""
    sources: Sources = {}
    specs: dict[NodeType, NodeInputSpec] = {}
    for node_type, node in graph.manifest.nodes.items():
        features, texts, embedding = chosen_inputs(pipeline.model, graph.manifest, node_type)
        inputs: dict[str, FeatureSource] = {n: GraphFeature(graph, node_type, n) for n in features}
        widths = {n: node.features[n].width for n in features}
        moments = {}
        for name in texts:
            cached = vectors[node_type][name]
            inputs[f"text:{name}"] = cached
            widths[f"text:{name}"] = cached.width
            moments[f"text:{name}"] = cached.moments()
        sources[node_type] = inputs
        specs[node_type] = NodeInputSpec(node.count, widths, embedding, moments)
    of_edges, edge_specs = edge_sources(pipeline.model, graph, vectors)
    return GraphInputs({**sources, **of_edges}, specs, edge_specs)


def graph_model(pipeline: Pipeline, graph: Graph, inputs: GraphInputs) -> LmGnn:
    """The graph model with seeded weights."""
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    return LmGnn(pipeline.model, inputs.nodes, [e.edge_type for e in graph.manifest.edges], inputs.edges)


def seeded_task(pipeline: Pipeline, graph: Graph, hidden: int) -> Task:
    """The task with a head of seeded weights."""
    torch.manual_seed(torch_seed(pipeline.seed, "model", 1))
    return build_task(pipeline.task, graph, hidden)


def text_hidden(pipeline: Pipeline, widths: dict[NodeType, dict[str, int]], hidden: int | None) -> int:
    """Width of a text model's vectors: as asked for, the language model's, or, if they differ, the GNN's."""
    distinct = {w for by_name in widths.values() for w in by_name.values()}
    if hidden is not None:
        return hidden
    return distinct.pop() if len(distinct) == 1 else pipeline.model.gnn.hidden


def open_graph(pipeline: Pipeline) -> LocalGraph:
    """The graph of a pipeline without the edges that its task must not see."""
    assert pipeline.graph.path is not None, "paths are resolved before"
    return open_task_graph(pipeline.task, pipeline.graph.path, pipeline.seed)


def build_experiment(pipeline: Pipeline, reporter: Reporter) -> Experiment:
    """Open the graph, get the text vectors, make model and task with seeded weights."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    # The task first: what is wrong with labels and splits is said before hours of embedding.
    task = seeded_task(pipeline, graph, pipeline.model.gnn.hidden)
    inputs = graph_inputs(pipeline, graph, text_vectors(pipeline, graph, reporter))
    modules = nn.ModuleDict({"model": graph_model(pipeline, graph, inputs), "task": task})
    return Experiment(pipeline, graph, inputs.sources, modules.to(device), device)


def build_text_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> Experiment:
    """The same without a graph network: a head on the vectors of the language model. hidden: map them to a width."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    vectors = text_vectors(pipeline, graph, reporter, task_node_types(pipeline.task, graph.manifest))
    widths = {str(t): {f"text:{n}": v.width for n, v in by_name.items()} for t, by_name in vectors.items()}
    modules = text_modules(pipeline, graph, widths, hidden)
    sources: Sources = {t: {f"text:{n}": v for n, v in by_name.items()} for t, by_name in vectors.items()}
    return Experiment(pipeline, graph, sources, modules.to(device), device)


def text_modules(
    pipeline: Pipeline, graph: Graph, widths: dict[NodeType, dict[str, int]], hidden: int | None
) -> nn.ModuleDict:
    """Text model and task with seeded weights."""
    width = text_hidden(pipeline, widths, hidden)
    task = seeded_task(pipeline, graph, width)
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    return nn.ModuleDict({"model": TextModel(widths, width, project=hidden is not None), "task": task})
