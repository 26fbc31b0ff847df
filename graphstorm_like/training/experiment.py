"""Config + graph folder -> everything that training and inference run on: graph, text vectors, model, task."""

from __future__ import annotations

import os
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
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.inputs import NodeInputSpec
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.stages import FeatureSource, GraphFeature
from graphstorm_like.tasks import Task, build_task, hidden_edges
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
    """A model and its task over a graph, on a device."""

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


def text_vectors(pipeline: Pipeline, graph: Graph, reporter: Reporter) -> dict[tuple[NodeType, str], CachedText]:
    """Vectors of every text that enters the model: from the cache, or computed now (resuming a stopped sweep)."""
    wanted = [(t, name) for t in graph.manifest.nodes for name in chosen_inputs(pipeline.model, graph.manifest, t)[1]]
    config = pipeline.model.text_encoder
    if not wanted or config is None:
        return {}
    from graphstorm_like.text.cache import embed_all
    from graphstorm_like.text.encoder import TextEncoder
    from graphstorm_like.text.tokens import build_token_store

    device = choose_device(pipeline.train.device)
    encoder = TextEncoder.load(
        config.name, pooling=config.pooling, max_tokens=config.max_tokens, dtype=config.dtype, device=device
    )
    found: dict[tuple[NodeType, str], CachedText] = {}
    for node_type, name in wanted:
        texts = graph.text(node_type, name)
        what = f"{node_type}.{name}"
        follow = reporter.follow()
        tokens = build_token_store(
            texts, encoder.tokenizer, pipeline.cache, encoder.max_tokens, progress=partial(follow, f"tokenise {what}")
        )
        total = int(tokens.lengths().sum())
        cache = embed_all(
            encoder, tokens, pipeline.cache, config.batch_tokens, progress=partial(follow, f"embed {what} (tokens)")
        )
        reporter.line(f"{what}: vectors of {len(cache):,} distinct texts, {total:,} tokens, width {encoder.dim}")
        found[node_type, name] = CachedText(cache)
    return found


def build_experiment(pipeline: Pipeline, reporter: Reporter) -> Experiment:
    """Open the graph, get the text vectors, make model and task with seeded weights."""
    assert pipeline.graph.path is not None, "paths are resolved before"
    graph = LocalGraph(pipeline.graph.path, hide=hidden_edges(pipeline.task))
    device = choose_device(pipeline.train.device)
    # The task first: what is wrong with labels and splits is said before hours of embedding.
    torch.manual_seed(torch_seed(pipeline.seed, "model", 1))
    task = build_task(pipeline.task, graph, pipeline.model.gnn.hidden)
    vectors = text_vectors(pipeline, graph, reporter)
    sources: Sources = {}
    specs: dict[NodeType, NodeInputSpec] = {}
    for node_type, node in graph.manifest.nodes.items():
        features, texts, embedding = chosen_inputs(pipeline.model, graph.manifest, node_type)
        inputs: dict[str, FeatureSource] = {n: GraphFeature(graph, node_type, n) for n in features}
        widths = {n: node.features[n].width for n in features}
        moments = {}
        for name in texts:
            inputs[f"text:{name}"] = vectors[node_type, name]
            widths[f"text:{name}"] = vectors[node_type, name].width
            moments[f"text:{name}"] = vectors[node_type, name].moments()
        sources[node_type] = inputs
        specs[node_type] = NodeInputSpec(node.count, widths, embedding, moments)
    torch.manual_seed(torch_seed(pipeline.seed, "model", 0))
    model = LmGnn(pipeline.model, specs, [e.edge_type for e in graph.manifest.edges])
    return Experiment(pipeline, graph, sources, nn.ModuleDict({"model": model, "task": task}).to(device), device)
