"""Config + graph folder -> everything that training and inference run on: graph, text vectors, model, task."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch
from torch import nn
from typing_extensions import TypeVar

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.device import choose_device, uses_bfloat16
from graphstorm_like.graph.dgl.store import DglGraph
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import ExcludedEdges, Graph, NodeType, RowType
from graphstorm_like.inputs.build import GraphInputs, Sources, graph_inputs
from graphstorm_like.inputs.choose import all_texts, scored_inputs
from graphstorm_like.inputs.edges import give_scored_inputs
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.inputs.source import Sized, TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.modality import TEXT, input_name
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.inputs import EMBEDDING
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.models.text_model import TextModel
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.clock import Clock
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.steps import FeatureSource, FetchFeatures, SampleNeighbors
from graphstorm_like.tasks import Task, build_task, task_node_types
from graphstorm_like.tasks import open_graph as open_task_graph
from graphstorm_like.training.adversary import input_adversary
from graphstorm_like.training.artifacts import Artifacts, text_weights
from graphstorm_like.training.learner import Computing, GraphLearner, LearnableRows, Learner

Source = TypeVar("Source")


Learner_co = TypeVar("Learner_co", bound=Learner, default=Learner, covariant=True)


@dataclass(frozen=True)
class Experiment(Generic[Learner_co]):
    """A model and its task over a graph: what training and inference run on.

    sources: of the model's inputs. learner: how it is trained. artifacts: what is saved of it.
    """

    pipeline: Pipeline
    graph: Graph
    sources: Sources
    model: LmGnn
    task: Task
    learner: Learner_co
    artifacts: Artifacts

    @property
    def device(self) -> torch.device:
        """The device it computes on."""
        return self.task.device

    def embedder(self, reporter: Reporter | None = None, memo: dict[NodeType, Vectors] | None = None) -> Embedder:
        """Computes vectors of many nodes. memo: see Embedder."""
        host = cluster()
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
            self.task.group,
            None if host is None else host.shm,
            self.task.clock,
        )


def assemble(
    pipeline: Pipeline, graph: Graph, sources: Sources, modules: nn.ModuleDict, device: torch.device
) -> Experiment[GraphLearner]:
    """The experiment of model and task, which are the `modules`, on a device."""
    model, task = modules["model"], modules["task"]
    assert isinstance(model, LmGnn)
    assert isinstance(task, Task)
    task.shares(model)
    embeddings = learnable_rows(sources)
    half, share = uses_bfloat16(pipeline.train.precision, device), RankSlice(task.group.rank, task.group.size)
    adversary = input_adversary(pipeline.train.adversarial, model, pipeline.seed, share, task.quiet)
    learner = GraphLearner(
        modules,
        model,
        task,
        LearnableRows(embeddings, device),
        [
            graph_sampling(graph, model, task, pipeline.train, pipeline.seed),
            FetchFeatures(settled(sources), task.scored_sources),
        ],
        pipeline.train,
        Computing(device, half, pipeline.seed, share),
        adversary,
    )
    scored: dict[RowType, Mapping[str, FeatureSource]] = {}
    for edge_type in scored_inputs(pipeline.task, graph.manifest):
        scored[edge_type] = task.scored_sources
    order = {
        "node_types": list(graph.manifest.nodes),
        "edge_types": [edge_name(edge.edge_type) for edge in graph.manifest.edges],
        **task.named_rows,
    }
    artifacts = Artifacts(modules, embeddings, text_weights(sources, scored), task.relations, order, task.group)
    return Experiment(pipeline, graph, sources, model, task, learner, artifacts)


def graph_sampling(graph: Graph, model: LmGnn, task: Task, train: TrainConfig, seed: int) -> SampleNeighbors:
    """Samples the neighbours of training batches. seed: the run's."""
    fanouts = train.fanouts[: model.gnn.num_hops]
    return SampleNeighbors(graph, fanouts, seed, exclude_targets=task.exclude_targets, clock=task.clock)


def learnable_rows(sources: Sources) -> dict[NodeType, NodeEmbeddings]:
    """Tables of learnable vectors of nodes, by type."""
    tables = {str(row_type): by_name.get(EMBEDDING) for row_type, by_name in sources.items()}
    return {node_type: table for node_type, table in tables.items() if isinstance(table, NodeEmbeddings)}


def settled(sources: Sources) -> Sources:
    """All inputs except learnable embeddings, which sampler processes, running ahead, would read out of date."""
    without_embeddings = {}
    for row_type, by_name in sources.items():
        without_embeddings[row_type] = {name: source for name, source in by_name.items() if name != EMBEDDING}
    return without_embeddings


def graph_model(config: ModelConfig, seed: int, manifest: GraphManifest, inputs: GraphInputs) -> LmGnn:
    """The graph model with seeded weights."""
    torch.manual_seed(torch_seed(seed, "model", 0))
    return LmGnn(config, inputs.nodes, [e.edge_type for e in manifest.edges], inputs.edges)


def seeded_task(config: TaskConfig, seed: int, graph: Graph, hidden: int) -> Task:
    """The task with a head of seeded weights, on vectors of width `hidden`."""
    torch.manual_seed(torch_seed(seed, "model", 1))
    task = build_task(config, graph, hidden)
    task.group = group()
    return task


def text_hidden(widths: Mapping[NodeType, Mapping[str, int]], otherwise: int) -> int:
    """Width of a text model's vectors: the language model's, or `otherwise` where several have different widths."""
    distinct = set(itertools.chain.from_iterable(by_name.values() for by_name in widths.values()))
    return distinct.pop() if len(distinct) == 1 else otherwise


def open_graph(task: TaskConfig, folder: str | None, seed: int, draw_by: str | None = None) -> Graph:
    """The graph of a folder without the edges that the task must not see: in this process, or over several hosts. seed:
    the run's, which decides which edges are held out. draw_by: see PartitionedGraph; not with DGL's store."""
    assert folder is not None, "paths are resolved before"
    ranks = cluster()

    def open_one(
        folder: str | Path, hide: Mapping[EdgeType, str | None], held_out: ExcludedEdges | None = None
    ) -> Graph:
        if ranks is None or ranks.hosts == 1:
            return LocalGraph(folder, hide, held_out, draw_by)
        if ranks.store == "dgl":
            group().barrier("meeting at DGL's servers")  # which answer nobody before all are there
            return DglGraph(folder, hide, held_out, ranks, group().local_rank)
        return RemoteGraph(folder, hide, held_out, ranks, group().local_rank, draw_by)

    return open_task_graph(task, folder, seed, open_one)


class Reading:
    """Where an experiment's graph and the vectors of its texts come from: the folder and the cache of its pipeline."""

    def graph(self, pipeline: Pipeline) -> Graph:
        """The graph as the task may see it."""
        return open_graph(pipeline.task, pipeline.graph.path, pipeline.seed, pipeline.train.draw_by)

    def texts(
        self,
        pipeline: Pipeline,
        names_by_type: Mapping[RowType, Sequence[str]],
        graph: Graph,
        device: torch.device,
        reporter: Reporter,
    ) -> TextVectors:
        """Vectors of some texts of its nodes and edges; see text_vectors."""
        return text_vectors(pipeline.model, names_by_type, graph, Path(pipeline.cache), device, reporter)


def build_experiment(
    pipeline: Pipeline, reporter: Reporter, reading: Reading | None = None
) -> Experiment[GraphLearner]:
    """Open the graph, get the text vectors, make model and task with seeded weights."""
    reading = reading or Reading()
    with reporter.step("opening the graph and checking its files"):
        graph = reading.graph(pipeline)
    device = choose_device(pipeline.train.device)
    # The task first: problems of labels and splits are reported before hours of embedding.
    task = seeded_task(pipeline.task, pipeline.seed, graph, pipeline.model.gnn.hidden)
    if pipeline.model.time is not None:
        task.clock = Clock(pipeline.model.time, graph, pipeline.task.row_type, pipeline.seed)
    if pipeline.train.evaluate_every is not None:
        task.check_validation()
    columns = all_texts(pipeline.model, pipeline.task, graph.manifest)
    vectors = reading.texts(pipeline, columns, graph, device, reporter)
    with reporter.step("making the model and its tables"):
        inputs = graph_inputs(pipeline.model, graph, vectors, pipeline.seed)
        give_scored_inputs(task, pipeline.task, graph, vectors, pipeline.seed)
        model = graph_model(pipeline.model, pipeline.seed, graph.manifest, inputs)
        modules = nn.ModuleDict({"model": model, "task": task})
        return assemble(pipeline, graph, inputs.sources, modules.to(device), device)


def build_text_experiment(
    pipeline: Pipeline, reporter: Reporter, hidden: int | None = None, reading: Reading | None = None
) -> Experiment[GraphLearner]:
    """The same without a graph network: a head on the language model's vectors. hidden: the width to map them to."""
    reading = reading or Reading()
    with reporter.step("opening the graph and checking its files"):
        graph = reading.graph(pipeline)
    device = choose_device(pipeline.train.device)
    types = task_node_types(pipeline.task, graph.manifest)
    scored = scored_inputs(pipeline.task, graph.manifest)
    columns = all_texts(pipeline.model, pipeline.task, graph.manifest)
    columns = {row_type: names for row_type, names in columns.items() if row_type in {*types, *scored}}
    vectors = reading.texts(pipeline, columns, graph, device, reporter)
    modules = text_modules(pipeline.task, pipeline.seed, graph, vectors, hidden, pipeline.model.gnn.hidden)
    sources: Sources = {t: _by_input_name(vectors.get(t, {})) for t in types}
    return assemble(pipeline, graph, sources, modules.to(device), device)


def text_modules(
    config: TaskConfig,
    seed: int,
    graph: Graph,
    texts: Mapping[RowType, Mapping[str, Sized]],
    hidden: int | None,
    otherwise: int,
) -> nn.ModuleDict:
    """Text model and task with seeded weights. texts: sources of the texts' vectors, by type and name. hidden: the
    width to map them to. None: they keep their width, or get `otherwise` where they have different ones."""
    widths = {}
    for node_type in task_node_types(config, graph.manifest):
        sources = _by_input_name(texts.get(node_type, {}))
        widths[node_type] = {name: source.width for name, source in sources.items()}
    width = text_hidden(widths, otherwise) if hidden is None else hidden
    task = seeded_task(config, seed, graph, width)
    give_scored_inputs(task, config, graph, texts, seed)
    torch.manual_seed(torch_seed(seed, "model", 0))
    return nn.ModuleDict({"model": TextModel(widths, width, project=hidden is not None), "task": task})


def _by_input_name(texts: Mapping[str, Source]) -> dict[str, Source]:
    return {input_name(TEXT, name): source for name, source in texts.items()}
