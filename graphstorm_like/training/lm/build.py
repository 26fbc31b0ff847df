"""Experiments whose language model learns: alone with a head, or together with a graph network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from graphstorm_like.config.lm import MlmConfig
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.phases.joint import JointPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.device import choose_device, uses_bfloat16
from graphstorm_like.graph.partitioned import PartitionedGraph
from graphstorm_like.graph.store import Graph, NodeType, RowType
from graphstorm_like.inputs.build import Sources, graph_inputs
from graphstorm_like.inputs.choose import all_texts, chosen_edge_inputs, node_texts, scored_inputs
from graphstorm_like.inputs.edges import give_scored_inputs
from graphstorm_like.inputs.learning_text import AgingVectors, FreshVectors, ReorderedVectors, TablePlace, VectorTable
from graphstorm_like.inputs.shared_tokens import SharedTokens, training_tokens
from graphstorm_like.inputs.source import CachedText, SharedText, TextSource, TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.inputs.trained_texts import (
    FetchTexts,
    SeedsAndNeighbors,
    SeedsOnly,
    TextStores,
    all_inputs,
)
from graphstorm_like.modality import TEXT, input_name, split_input_name
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.names import TABLE_NAMES
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.batch import Messages, Place, row_type_of
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.stages import FeatureSource, FetchFeatures, Stage
from graphstorm_like.tasks import Task, task_node_types
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.experiment import (
    Experiment,
    assemble,
    graph_model,
    graph_sampling,
    open_graph,
    seeded_task,
    settled,
    text_modules,
)
from graphstorm_like.training.learner import GraphLearner
from graphstorm_like.training.lm.language_models import LanguageModels
from graphstorm_like.training.lm.learner import LmLearner
from graphstorm_like.training.lm.mlm_term import MlmTerm
from graphstorm_like.training.lm.tables import LearningTables, Tables, input_place

LmExperiment: TypeAlias = Experiment[LmLearner]

PIECE_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Padded tokens of one forward pass: on a CPU few, for its caches."""


@dataclass(frozen=True)
class TrainableTexts:
    """Texts of a graph that language models train on. config: which model reads which; cache: folder of tokens; half:
    whether vectors are computed under bfloat16 autocast."""

    config: ModelConfig
    graph: Graph
    language_models: LanguageModels
    cache: Path
    half: bool
    reporter: Reporter

    def encoder(self, row_type: RowType) -> TextEncoder:
        """The language model that reads a type's texts."""
        return self.language_models.of(self.config.encoder_key(row_type))

    def tokens(self, row_type: RowType, name: str) -> TokenStore | SharedTokens:
        """Tokens of a text of a type."""
        chunks = self.config.text_encoders()[self.config.encoder_key(row_type)].chunks
        return training_tokens(self.graph, row_type, name, self.encoder(row_type), self.cache, chunks, self.reporter)


def _by_text(tables: Tables) -> dict[RowType, dict[str, VectorTable]]:
    """Those of nodes and scored edges by the names of the texts."""
    return {
        place: {split_input_name(name)[1]: table for name, table in by_name.items()}
        for place, by_name in tables.items()
        if not isinstance(place, Messages)
    }


def first_vectors(source: TextSource) -> npt.NDArray[np.float16]:
    """[U, D] vectors of the distinct texts of this host, as they are before training."""
    if isinstance(source, CachedText):
        return source.cache.vectors
    where = cluster()
    assert isinstance(source, SharedText)
    assert where is not None
    return source.of_host(where.shm)


def load_language_models(
    configs: Mapping[str, TextEncoderConfig], train: TrainConfig, seed: int, device: torch.device
) -> LanguageModels:
    """Language models by key, ready to learn."""
    half = uses_bfloat16(train.precision, device)
    # LoRA draws its first weights.
    torch.manual_seed(torch_seed(seed, "model", 2))
    return LanguageModels.load(dict(configs), train.lm, device, half).to(device)


def mlm_term(config: MlmConfig | None, lms: LanguageModels, seed: int, device: torch.device) -> MlmTerm | None:
    """The masked-language-model term that `train.lm.mlm` asks for, with seeded heads."""
    if config is None:
        return None
    torch.manual_seed(torch_seed(seed, "model", 3))
    return MlmTerm(config, lms, group()).to(device)


def fresh_tables(
    texts: TrainableTexts, task: TaskConfig, types: Collection[NodeType]
) -> dict[Place, dict[str, VectorTable]]:
    """Of the texts of some node types, and of those of scored edges that the task's head reads."""
    manifest = texts.graph.manifest
    wanted: dict[RowType, list[str]] = {
        **{t: names for t, names in node_texts(texts.config, manifest).items() if t in types},
        **{t: names for t, (_, names) in scored_inputs(task, manifest).items() if names},
    }
    tables: dict[Place, dict[str, VectorTable]] = {}
    for row_type, names in wanted.items():
        encoder = texts.encoder(row_type)
        stores = {name: texts.tokens(row_type, name) for name in names}
        tables[row_type] = {
            input_name(TEXT, name): FreshVectors(encoder, store, texts.half) for name, store in stores.items()
        }
    return tables


def aging_tables(texts: TrainableTexts, task: TaskConfig, vectors: TextVectors) -> dict[Place, dict[str, VectorTable]]:
    """Of every text that enters model and head. vectors: what they are at first."""
    manifest = texts.graph.manifest
    originals: dict[tuple[RowType, str], AgingVectors] = {}
    tables: dict[RowType, dict[str, VectorTable]] = {}
    for row_type, by_name in vectors.items():
        tables[row_type] = {}
        for name, source in by_name.items():
            # A reverse has the texts of its original: one table for both.
            order = source.order if isinstance(source, CachedText) else None
            origin = row_type if order is None or isinstance(row_type, str) else manifest.edge(row_type).reverse
            assert origin is not None
            if (table := originals.get((origin, name))) is None:
                encoder, store = texts.encoder(origin), texts.tokens(origin, name)
                place = table_place(texts.graph, origin, len(originals))
                table = AgingVectors(encoder, store, texts.half, first_vectors(source), place)
                originals[origin, name] = table
            tables[row_type][input_name(TEXT, name)] = table if order is None else ReorderedVectors(table, order)
    messages, scored = chosen_edge_inputs(texts.config, manifest), scored_inputs(task, manifest)
    places: dict[Place, list[str]] = {
        **{t: list(by_name) for t, by_name in vectors.items() if isinstance(t, str)},
        **{t: names for t, (_, names) in scored.items() if names},
        **{Messages(t): names for t, (_, names) in messages.items() if names},
    }
    chosen: dict[Place, dict[str, VectorTable]] = {}
    for read_at, names in places.items():
        of_type = tables[row_type_of(read_at)]
        chosen[read_at] = {name: of_type[name] for name in map(partial(input_name, TEXT), names)}
    return chosen


def table_place(graph: Graph, row_type: RowType, number: int) -> TablePlace:
    """Where this process has a table. number: of the table among those of the phase. Ranks make their tables in one
    order, so that a name is the same table's everywhere."""
    where = cluster()
    shared = graph if isinstance(graph, PartitionedGraph) else None
    return TablePlace(number, TABLE_NAMES.new("aging"), row_type, shared, group(), None if where is None else where.shm)


def build_lm_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> LmExperiment:
    """The language model with a head for the pipeline's task. hidden: map its vectors to a width first."""
    seed, device = pipeline.seed, choose_device(pipeline.train.device)
    with reporter.step("opening the graph and checking its files"):
        graph = open_graph(pipeline.task, pipeline.graph.path, seed)
    with reporter.step("loading the language model"):
        lms = load_language_models(pipeline.model.text_encoders(), pipeline.train, seed, device)
    half = uses_bfloat16(pipeline.train.precision, device)
    types = task_node_types(pipeline.task, graph.manifest)
    texts = TrainableTexts(pipeline.model, graph, lms, Path(pipeline.cache), half, reporter)
    tables = fresh_tables(texts, pipeline.task, types)
    modules = text_modules(pipeline.task, seed, graph, _by_text(tables), hidden, pipeline.model.gnn.hidden).to(device)
    sources: Sources = {t: dict(tables.get(t, {})) for t in types}
    mlm = mlm_term(pipeline.train.lm.mlm, lms, seed, device)
    experiment = assemble(pipeline, graph, sources, modules, device)
    fetch = FetchTexts(_stores(tables), all_inputs, _piece_tokens(lms, device))
    steps: list[Stage] = [SeedsOnly(), FetchFeatures({}, _other_scored(experiment.task, tables)), fetch]
    return _with_learner(experiment, steps, lms, tables, mlm)


def build_joint_experiment(pipeline: Pipeline, phase: JointPhase, reporter: Reporter) -> LmExperiment:
    """Language model and graph network end to end; vectors start from the embedding cache."""
    seed, device = pipeline.seed, choose_device(pipeline.train.device)
    with reporter.step("opening the graph and checking its files"):
        graph = open_graph(pipeline.task, pipeline.graph.path, seed)
    task = seeded_task(pipeline.task, seed, graph, pipeline.model.gnn.hidden)
    wanted = all_texts(pipeline.model, pipeline.task, graph.manifest)
    vectors = text_vectors(pipeline.model, wanted, graph, Path(pipeline.cache), device, reporter)
    inputs = graph_inputs(pipeline.model, graph, vectors, seed)
    with reporter.step("loading the language model"):
        lms = load_language_models(pipeline.model.text_encoders(), pipeline.train, seed, device)
    half = uses_bfloat16(pipeline.train.precision, device)
    texts = TrainableTexts(pipeline.model, graph, lms, Path(pipeline.cache), half, reporter)
    tables = aging_tables(texts, pipeline.task, vectors)
    sources = {t: {**by_name, **tables.get(input_place(t), {})} for t, by_name in inputs.sources.items()}
    give_scored_inputs(task, pipeline.task, graph, _by_text(tables), seed)
    model = graph_model(pipeline.model, seed, graph.manifest, inputs)
    modules = nn.ModuleDict({"model": model, "task": task}).to(device)
    mlm = mlm_term(pipeline.train.lm.mlm, lms, seed, device)
    experiment = assemble(pipeline, graph, sources, modules, device)
    share = experiment.learner.computing.share
    # The budget of tokens is that of all ranks together.
    budget = -(-phase.lm_tokens // share.size)
    choose = SeedsAndNeighbors(_stores(tables), phase.neighbors, phase.choose, budget, seed, share.rank)
    fetch_texts = FetchTexts(_stores(tables), choose, _piece_tokens(lms, device))
    fetch_features = FetchFeatures(_given_sources(sources, tables), _other_scored(task, tables))
    sampling = graph_sampling(graph, model, task, pipeline.train, seed)
    steps: list[Stage] = [sampling, fetch_features, fetch_texts]
    return _with_learner(experiment, steps, lms, tables, mlm, phase.refresh_steps)


def _with_learner(
    experiment: Experiment[GraphLearner],
    steps: Sequence[Stage],
    lms: LanguageModels,
    tables: Tables,
    mlm: MlmTerm | None,
    refresh_steps: int | None = None,
) -> LmExperiment:
    """The experiment, whose language models learn too."""
    known = experiment.learner
    learner = LmLearner(
        known.modules,
        known.model,
        known.objective,
        known.embeddings,
        steps,
        known.train,
        known.computing,
        lms,
        LearningTables(tables, known.computing.device),
        experiment.pipeline.model.encoder_key,
        mlm,
        refresh_steps,
    )
    artifacts = replace(experiment.artifacts, save_text_models=lms.save)
    return Experiment(
        experiment.pipeline, experiment.graph, experiment.sources, experiment.model, experiment.task, learner, artifacts
    )


def _stores(tables: Tables) -> TextStores:
    return {place: {name: table.tokens for name, table in by_name.items()} for place, by_name in tables.items()}


def _piece_tokens(lms: LanguageModels, device: torch.device) -> int:
    return min(PIECE_TOKENS[device.type], lms.activation_tokens(device))


def _other_scored(task: Task, tables: Tables) -> dict[str, FeatureSource]:
    """What scored edges carry and no language model learns from."""
    learnt = {name for place, by_name in tables.items() if isinstance(place, tuple) for name in by_name}
    return {name: source for name, source in task.scored_sources.items() if name not in learnt}


def _given_sources(sources: Sources, tables: Tables) -> Sources:
    """Inputs that training does not change."""
    return {
        row_type: {n: s for n, s in by_name.items() if n not in tables.get(input_place(row_type), {})}
        for row_type, by_name in settled(sources).items()
    }
