"""Config + graph folder -> everything that training and inference run on: graph, text vectors, model, task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.device import choose_device, uses_bfloat16
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.store import ExcludedEdges, Graph, NodeType, RowType, type_name
from graphstorm_like.inputs.build import GraphInputs, Sources, graph_inputs
from graphstorm_like.inputs.choose import all_texts, scored_inputs
from graphstorm_like.inputs.edges import give_scored_inputs
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.inputs.rank_rows import RankRows
from graphstorm_like.inputs.source import Sized, TextSource
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.modality import TEXT, input_name
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.inputs import EMBEDDING
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.models.text_model import TextModel
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.seeds import Share
from graphstorm_like.sampling.stages import FetchFeatures, SampleNeighbors
from graphstorm_like.tasks import Objective, Task, build_task, task_node_types
from graphstorm_like.tasks import open_graph as open_task_graph
from graphstorm_like.training.checkpoint import MODEL_FILE, check_folder, load_weights
from graphstorm_like.training.optim import ParameterGroup, module_groups

Source = TypeVar("Source")


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

    @property
    def embeddings(self) -> dict[NodeType, NodeEmbeddings]:
        """Learnable vectors of nodes, by type."""
        found = {str(t): by_name.get(EMBEDDING) for t, by_name in self.sources.items()}
        return {t: table for t, table in found.items() if isinstance(table, NodeEmbeddings)}

    # -- what the training loop asks; experiments whose language model learns answer otherwise ----------------------

    @property
    def trained(self) -> nn.Module:
        """All modules that a resume point holds: `modules`, and what else changes in training."""
        return self.modules

    @property
    def tables_in_training(self) -> list[RankRows]:
        """Tables that a resume point holds."""
        return list(self.embeddings.values())

    def batches(self) -> BatchPipeline:
        """Seeder and stages of training batches."""
        return BatchPipeline(
            self.objective.seeder(self.pipeline.seed, self.share),
            [self._sampling(), FetchFeatures(self._settled(), self.task.scored_sources)],
        )

    @property
    def share(self) -> Share:
        """This rank's part of every step."""
        return Share(self.task.group.rank, self.task.group.size)

    def _sampling(self) -> SampleNeighbors:
        return SampleNeighbors(
            self.graph,
            self.pipeline.train.fanouts[: self.model.gnn.num_hops],
            self.pipeline.seed,
            self.share.rank,
            exclude_targets=self.task.exclude_targets,
        )

    def _settled(self) -> Sources:
        """All inputs but learnable embeddings: sampler processes run ahead and must not see them age."""
        return {t: {n: s for n, s in by_name.items() if n != EMBEDDING} for t, by_name in self.sources.items()}

    def groups(self) -> list[ParameterGroup]:
        """Dense parameters that learn."""
        return module_groups(self.modules, self.pipeline.train)

    def backward(self, batch: MiniBatch) -> tuple[float, float]:
        """Forward and backward of one batch, which is on the device: (sum of losses, their weight)."""
        torch.manual_seed(self._dropout_seed(batch))
        batch, leaves = self.with_embeddings(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            loss, count = self.objective.loss(self.model(batch), batch)
        (loss * batch.weight).backward()  # type: ignore[no-untyped-call]
        self._touch(batch, leaves)
        return loss.item() * batch.weight, count * batch.weight

    def _dropout_seed(self, batch: MiniBatch, *piece: int) -> int:
        """Of a batch, or a piece of one; every rank's is its own."""
        own = (self.share.rank,) if self.share.rank else ()
        return torch_seed(self.pipeline.seed, "dropout", batch.position.epoch, batch.position.step, *piece, *own)

    def with_embeddings(self, batch: MiniBatch) -> tuple[MiniBatch, dict[NodeType, Tensor]]:
        """The batch with rows of learnable embeddings as they are now, and these: leaves, for their gradients."""
        pending = {t: table.begin_rows(batch.input_ids[t].cpu().numpy()) for t, table in self._embedded(batch).items()}
        leaves = {t: torch.from_numpy(finish()).to(self.device).requires_grad_() for t, finish in pending.items()}
        features = dict(batch.features)
        for node_type, rows in leaves.items():
            features[node_type] = {**features.get(node_type, {}), EMBEDDING: rows}
        return batch.replace(features=features), leaves

    def _embedded(self, batch: MiniBatch) -> dict[NodeType, NodeEmbeddings]:
        return {t: table for t, table in self.embeddings.items() if t in batch.input_ids}

    def _touch(self, batch: MiniBatch, leaves: Mapping[NodeType, Tensor]) -> None:
        for node_type, table in self._embedded(batch).items():
            table.touched(batch.input_ids[node_type], leaves[node_type].grad)

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

    def load(self, folder: Path) -> None:
        """Take the weights that training left in a `best/` folder; TrainingError names what is damaged or does not
        fit."""
        check_folder(folder)
        load_weights(folder / MODEL_FILE, self.modules)
        for table in self.embeddings.values():
            table.load(folder)
        self.task.group.barrier("loading weights")

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
            self.task.group,
            None if (where := cluster()) is None else where.shm,
        )

    @property
    def text_weights(self) -> dict[str, str]:
        """Fingerprint of the language model behind each text input: its weights may change under one name."""
        scored = dict.fromkeys(scored_inputs(self.pipeline.task, self.graph.manifest), self.task.scored_sources)
        return {
            f"{type_name(t)}.{name}": source.weights
            for by_type in (self.sources, scored)
            for t, inputs in by_type.items()
            for name, source in inputs.items()
            if isinstance(source, TextSource)
        }


def graph_model(pipeline: Pipeline, graph: Graph, inputs: GraphInputs) -> LmGnn:
    """The graph model with seeded weights."""
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    return LmGnn(pipeline.model, inputs.nodes, [e.edge_type for e in graph.manifest.edges], inputs.edges)


def seeded_task(pipeline: Pipeline, graph: Graph, hidden: int) -> Task:
    """The task with a head of seeded weights."""
    torch.manual_seed(torch_seed(pipeline.seed, "model", 1))
    task = build_task(pipeline.task, graph, hidden)
    task.group = group()
    return task


def text_hidden(pipeline: Pipeline, widths: dict[NodeType, dict[str, int]], hidden: int | None) -> int:
    """Width of a text model's vectors: as asked for, the language model's, or, if they differ, the GNN's."""
    distinct = {w for by_name in widths.values() for w in by_name.values()}
    if hidden is not None:
        return hidden
    return distinct.pop() if len(distinct) == 1 else pipeline.model.gnn.hidden


def open_graph(pipeline: Pipeline) -> Graph:
    """The graph of a pipeline without the edges that its task must not see: all of it here, or on several hosts."""
    assert pipeline.graph.path is not None, "paths are resolved before"
    where = cluster()

    def open_one(
        folder: str | Path, hide: Mapping[EdgeType, str | None], held_out: ExcludedEdges | None = None
    ) -> Graph:
        if where is None or where.hosts == 1:
            return LocalGraph(folder, hide, held_out)
        return RemoteGraph(folder, hide, held_out, where, group().local_rank)

    return open_task_graph(pipeline.task, pipeline.graph.path, pipeline.seed, open_one)


def build_experiment(pipeline: Pipeline, reporter: Reporter) -> Experiment:
    """Open the graph, get the text vectors, make model and task with seeded weights."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    # The task first: what is wrong with labels and splits is said before hours of embedding.
    task = seeded_task(pipeline, graph, pipeline.model.gnn.hidden)
    wanted = all_texts(pipeline.model, pipeline.task, graph.manifest)
    vectors = text_vectors(pipeline.model, wanted, graph, Path(pipeline.cache), device, reporter)
    inputs = graph_inputs(pipeline.model, graph, vectors, pipeline.seed)
    give_scored_inputs(task, pipeline.task, graph, vectors, pipeline.seed)
    modules = nn.ModuleDict({"model": graph_model(pipeline, graph, inputs), "task": task})
    return Experiment(pipeline, graph, inputs.sources, modules.to(device), device)


def build_text_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> Experiment:
    """The same without a graph network: a head on the vectors of the language model. hidden: map them to a width."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    types = task_node_types(pipeline.task, graph.manifest)
    scored = scored_inputs(pipeline.task, graph.manifest)
    read = {t: n for t, n in all_texts(pipeline.model, pipeline.task, graph.manifest).items() if t in {*types, *scored}}
    vectors = text_vectors(pipeline.model, read, graph, Path(pipeline.cache), device, reporter)
    modules = text_modules(pipeline, graph, vectors, hidden)
    sources: Sources = {t: _by_input_name(vectors.get(t, {})) for t in types}
    return Experiment(pipeline, graph, sources, modules.to(device), device)


def text_modules(
    pipeline: Pipeline, graph: Graph, texts: Mapping[RowType, Mapping[str, Sized]], hidden: int | None
) -> nn.ModuleDict:
    """Text model and task with seeded weights. texts: where the vectors of texts come from, by type and name."""
    types = task_node_types(pipeline.task, graph.manifest)
    widths = {}
    for node_type in types:
        sources = _by_input_name(texts.get(node_type, {}))
        widths[node_type] = {name: source.width for name, source in sources.items()}
    width = text_hidden(pipeline, widths, hidden)
    task = seeded_task(pipeline, graph, width)
    give_scored_inputs(task, pipeline.task, graph, texts, pipeline.seed)
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    return nn.ModuleDict({"model": TextModel(widths, width, project=hidden is not None), "task": task})


def _by_input_name(texts: Mapping[str, Source]) -> dict[str, Source]:
    return {input_name(TEXT, name): source for name, source in texts.items()}
