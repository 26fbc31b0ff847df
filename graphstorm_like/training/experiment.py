"""Config + graph folder -> everything that training and inference run on: graph, text vectors, model, task."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.task import NodeClassificationConfig
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.inputs import NodeInputSpec
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.models.text_model import TextModel
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.stages import FeatureSource, FetchFeatures, GraphFeature, SampleNeighbors
from graphstorm_like.tasks import Objective, Task, build_task, hidden_edges
from graphstorm_like.training.optim import ParameterGroup, module_groups
from graphstorm_like.training.progress import Reporter

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache


@dataclass(frozen=True)
class CachedText:
    """Text vectors from the embedding cache as a FeatureSource."""

    cache: EmbeddingCache

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows."""
        return self.cache.gather(ids)

    @property
    def width(self) -> int:
        """D"""
        return int(self.cache.vectors.shape[1])

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(mean, standard deviation) [D], over evenly chosen texts."""
        rows = np.unique(np.linspace(0, len(self.cache) - 1, 8192).astype(np.int64))
        vectors = self.cache.vectors[rows].astype(np.float64)
        return vectors.mean(axis=0), vectors.std(axis=0)


Sources = dict[NodeType, dict[str, FeatureSource]]


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
                SampleNeighbors(self.graph, train.fanouts[: self.model.gnn.num_hops], self.pipeline.seed),
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
            f"{t}.{name}": source.cache.meta["weights"]
            for t, inputs in self.sources.items()
            for name, source in inputs.items()
            if isinstance(source, CachedText)
        }


def choose_device(wanted: str) -> torch.device:
    """auto: CUDA where there is one."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError(
            "train.device: must be cpu or auto on this machine (got 'cuda', but torch sees no CUDA device)"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether training runs under bfloat16 autocast."""
    from graphstorm_like.text.loading import bf16_in_hardware

    return precision == "bfloat16" or (precision == "auto" and bf16_in_hardware(device))


def set_threads(pipeline: Pipeline) -> int:
    """Compute threads of this process, as launch.threads says; default all cores it may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(pipeline.launch.threads or usable)
    return torch.get_num_threads()


def chosen_inputs(
    config: ModelConfig, manifest: GraphManifest, node_type: NodeType
) -> tuple[list[str], list[str], bool]:
    """(features, texts, learnable embedding?) that enter the model for a node type."""
    node = manifest.node(node_type)
    wanted = config.inputs.get(node_type, NodeInputConfig())
    features = list(node.features) if wanted.features is None else wanted.features
    texts = list(node.text) if wanted.text is None else wanted.text
    for kind, names, known in (("feature", features, node.features), ("text", texts, node.text)):
        for name in names:
            if name not in known:
                raise DataError(
                    unknown(f"graph folder, node type {node_type}", kind, name, known) + " Run: gsl construct"
                )
    bare = not features and not texts
    return features, texts, bare if wanted.embedding == "auto" else wanted.embedding


def text_inputs(pipeline: Pipeline, manifest: GraphManifest) -> dict[NodeType, list[str]]:
    """Names of the texts that enter the model, by node type."""
    found = {t: chosen_inputs(pipeline.model, manifest, t)[1] for t in manifest.nodes}
    return {t: names for t, names in found.items() if names}


def text_vectors(
    pipeline: Pipeline, graph: Graph, reporter: Reporter, node_types: Sequence[NodeType] | None = None
) -> dict[NodeType, dict[str, CachedText]]:
    """Vectors of every text that enters the model: from the cache, or computed now (resuming a stopped sweep)."""
    wanted = text_inputs(pipeline, graph.manifest)
    if not wanted:
        return {}
    from graphstorm_like.text.cache import embed_all
    from graphstorm_like.text.encoder import TextEncoder
    from graphstorm_like.text.tokens import build_token_store

    device = choose_device(pipeline.train.device)
    configs = pipeline.model.text_encoders()
    encoders: dict[str, TextEncoder] = {}
    found: dict[NodeType, dict[str, CachedText]] = {}
    for node_type, names in wanted.items():
        if node_types is not None and node_type not in node_types:
            continue
        key = pipeline.model.encoder_key(node_type)
        config = configs[key]
        if key not in encoders:
            encoders[key] = TextEncoder.load(
                config.name, pooling=config.pooling, max_tokens=config.max_tokens, dtype=config.dtype, device=device
            )
        encoder = encoders[key]
        for name in names:
            what, follow = f"{node_type}.{name}", reporter.follow()
            tokens = build_token_store(
                graph.text(node_type, name),
                encoder.tokenizer,
                pipeline.cache,
                encoder.max_tokens,
                progress=partial(follow, f"tokenise {what}"),
            )
            total = int(tokens.lengths().sum())
            cache = embed_all(
                encoder, tokens, pipeline.cache, config.batch_tokens, progress=partial(follow, f"embed {what} (tokens)")
            )
            reporter.line(f"{what}: vectors of {len(cache):,} distinct texts, {total:,} tokens, width {encoder.dim}")
            found.setdefault(node_type, {})[name] = CachedText(cache)
    return found


def graph_inputs(
    pipeline: Pipeline, graph: Graph, vectors: dict[NodeType, dict[str, CachedText]]
) -> tuple[Sources, dict[NodeType, NodeInputSpec]]:
    """Sources of all inputs of a graph model, and what its input encoder must know of them."""
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
    return sources, specs


def text_hidden(pipeline: Pipeline, widths: dict[NodeType, dict[str, int]], hidden: int | None) -> int:
    """Width of a text model's vectors: as asked for, the language model's, or, if they differ, the GNN's."""
    distinct = {w for by_name in widths.values() for w in by_name.values()}
    if hidden is not None:
        return hidden
    return distinct.pop() if len(distinct) == 1 else pipeline.model.gnn.hidden


def open_graph(pipeline: Pipeline) -> LocalGraph:
    """The graph of a pipeline without the edges that its task must not see."""
    assert pipeline.graph.path is not None, "paths are resolved before"
    return LocalGraph(pipeline.graph.path, hide=hidden_edges(pipeline.task))


def build_experiment(pipeline: Pipeline, reporter: Reporter) -> Experiment:
    """Open the graph, get the text vectors, make model and task with seeded weights."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    # The task first: what is wrong with labels and splits is said before hours of embedding.
    torch.manual_seed(torch_seed(pipeline.seed, "model", 1))
    task = build_task(pipeline.task, graph, pipeline.model.gnn.hidden)
    sources, specs = graph_inputs(pipeline, graph, text_vectors(pipeline, graph, reporter))
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    model = LmGnn(pipeline.model, specs, [e.edge_type for e in graph.manifest.edges])
    return Experiment(pipeline, graph, sources, nn.ModuleDict({"model": model, "task": task}).to(device), device)


def build_text_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> Experiment:
    """The same without a graph network: a head on the vectors of the language model. hidden: map them to a width."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    vectors = text_vectors(pipeline, graph, reporter, task_types(pipeline))
    widths = {t: {f"text:{n}": v.width for n, v in by_name.items()} for t, by_name in vectors.items()}
    modules = text_modules(pipeline, graph, widths, hidden)
    sources: Sources = {t: {f"text:{n}": v for n, v in by_name.items()} for t, by_name in vectors.items()}
    return Experiment(pipeline, graph, sources, modules.to(device), device)


def task_types(pipeline: Pipeline) -> tuple[NodeType, ...]:
    """Node types whose vectors the task reads."""
    task = pipeline.task
    if isinstance(task, NodeClassificationConfig):
        return (task.node_type,)
    return tuple(dict.fromkeys((task.edge_type[0], task.edge_type[2])))


def text_modules(
    pipeline: Pipeline, graph: Graph, widths: dict[NodeType, dict[str, int]], hidden: int | None
) -> nn.ModuleDict:
    """Text model and task with seeded weights."""
    width = text_hidden(pipeline, widths, hidden)
    torch.manual_seed(torch_seed(pipeline.seed, "model", 1))
    task = build_task(pipeline.task, graph, width)
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    return nn.ModuleDict({"model": TextModel(widths, width, project=hidden is not None), "task": task})
