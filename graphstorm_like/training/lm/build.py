"""Experiments whose language model learns: alone with a head, or together with a graph network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from graphstorm_like.config.lm import MlmConfig
from graphstorm_like.config.phases import JointPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.config.train import TrainConfig
from graphstorm_like.device import choose_device, uses_bfloat16
from graphstorm_like.inputs.build import Sources, graph_inputs
from graphstorm_like.inputs.choose import all_texts
from graphstorm_like.inputs.edges import give_scored_inputs
from graphstorm_like.inputs.learning_tables import LearningTables, Tables, input_place
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.inputs.trainable_texts import TrainableTexts, aging_tables, by_text, fresh_tables
from graphstorm_like.inputs.trained_texts import (
    FetchTexts,
    SeedsAndNeighbors,
    SeedsOnly,
    TextStores,
    all_inputs,
)
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.torch_group import group
from graphstorm_like.sampling.batch import TextPlace, row_type_of
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.steps import FeatureSource, FetchFeatures, Step
from graphstorm_like.tasks import Task, task_node_types
from graphstorm_like.text.encoder import TextEncoder
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
from graphstorm_like.training.lm.token_adversary import token_adversary

LmExperiment: TypeAlias = Experiment[LmLearner]

PIECE_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Padded tokens of one forward pass; few on a CPU, for its caches."""


def load_language_models(
    configs: Mapping[str, TextEncoderConfig], train: TrainConfig, seed: int, device: torch.device
) -> LanguageModels:
    """Language models by key, ready to learn."""
    half = uses_bfloat16(train.precision, device)
    # LoRA draws its initial weights.
    torch.manual_seed(torch_seed(seed, "model", 2))
    return LanguageModels.load(dict(configs), train.lm, device, half).to(device)


def mlm_term(config: MlmConfig | None, lms: LanguageModels, seed: int, device: torch.device) -> MlmTerm | None:
    """The masked-language-model term that `train.lm.mlm` asks for, with seeded heads."""
    if config is None:
        return None
    torch.manual_seed(torch_seed(seed, "model", 3))
    return MlmTerm(config, lms, group()).to(device)


def build_lm_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> LmExperiment:
    """The language model with a head for the pipeline's task. hidden: map its vectors to this width first."""
    seed, device = pipeline.seed, choose_device(pipeline.train.device)
    with reporter.step("opening the graph and checking its files"):
        graph = open_graph(pipeline.task, pipeline.graph.path, seed)
    with reporter.step("loading the language model"):
        lms = load_language_models(pipeline.model.text_encoders(), pipeline.train, seed, device)
    half = uses_bfloat16(pipeline.train.precision, device)
    types = task_node_types(pipeline.task, graph.manifest)
    texts = TrainableTexts(pipeline.model, graph, lms.of, Path(pipeline.cache), half, reporter)
    tables = fresh_tables(texts, pipeline.task, types)
    modules = text_modules(pipeline.task, seed, graph, by_text(tables), hidden, pipeline.model.gnn.hidden).to(device)
    sources: Sources = {t: dict(tables.get(t, {})) for t in types}
    mlm = mlm_term(pipeline.train.lm.mlm, lms, seed, device)
    experiment = assemble(pipeline, graph, sources, modules, device)
    fetch = FetchTexts(_stores(tables), all_inputs, _piece_tokens(lms, device))
    steps: list[Step] = [SeedsOnly(), FetchFeatures({}, _other_scored(experiment.task, tables)), fetch]
    return _with_learner(experiment, steps, lms, tables, mlm)


def build_joint_experiment(pipeline: Pipeline, phase: JointPhase, reporter: Reporter) -> LmExperiment:
    """Language model and graph network end to end; the table of vectors starts from the embedding cache."""
    seed, device = pipeline.seed, choose_device(pipeline.train.device)
    with reporter.step("opening the graph and checking its files"):
        graph = open_graph(pipeline.task, pipeline.graph.path, seed, pipeline.train.draw_by)
    task = seeded_task(pipeline.task, seed, graph, pipeline.model.gnn.hidden)
    columns = all_texts(pipeline.model, pipeline.task, graph.manifest)
    vectors = text_vectors(pipeline.model, columns, graph, Path(pipeline.cache), device, reporter)
    inputs = graph_inputs(pipeline.model, graph, vectors, seed)
    with reporter.step("loading the language model"):
        lms = load_language_models(pipeline.model.text_encoders(), pipeline.train, seed, device)
    half = uses_bfloat16(pipeline.train.precision, device)
    texts = TrainableTexts(pipeline.model, graph, lms.of, Path(pipeline.cache), half, reporter)
    tables = aging_tables(texts, pipeline.task, vectors)
    sources = {t: {**by_name, **tables.get(input_place(t), {})} for t, by_name in inputs.sources.items()}
    give_scored_inputs(task, pipeline.task, graph, by_text(tables), seed)
    model = graph_model(pipeline.model, seed, graph.manifest, inputs)
    modules = nn.ModuleDict({"model": model, "task": task}).to(device)
    mlm = mlm_term(pipeline.train.lm.mlm, lms, seed, device)
    experiment = assemble(pipeline, graph, sources, modules, device)
    share = experiment.learner.computing.share
    # The budget of tokens is for all ranks together.
    budget = -(-phase.lm_tokens // share.size)
    choose = SeedsAndNeighbors(_stores(tables), phase.neighbors, phase.choose, budget, seed, share.rank)
    fetch_texts = FetchTexts(_stores(tables), choose, _piece_tokens(lms, device))
    fetch_features = FetchFeatures(_given_sources(sources, tables), _other_scored(task, tables))
    sampling = graph_sampling(graph, model, task, pipeline.train, seed)
    steps: list[Step] = [sampling, fetch_features, fetch_texts]
    return _with_learner(experiment, steps, lms, tables, mlm, phase.refresh_steps)


def _with_learner(
    experiment: Experiment[GraphLearner],
    steps: Sequence[Step],
    lms: LanguageModels,
    tables: Tables,
    mlm: MlmTerm | None,
    refresh_steps: int | None = None,
) -> LmExperiment:
    """The experiment with language models that learn too."""
    graph_learner, attack = experiment.learner, experiment.pipeline.train.adversarial

    def encoder_of(place: TextPlace) -> TextEncoder:
        return lms.of(experiment.pipeline.model.encoder_key(row_type_of(place)))

    learner = LmLearner(
        graph_learner.modules,
        graph_learner.model,
        graph_learner.objective,
        graph_learner.embeddings,
        steps,
        graph_learner.train,
        graph_learner.computing,
        lms,
        LearningTables(tables, graph_learner.computing.device),
        experiment.pipeline.model.encoder_key,
        mlm,
        refresh_steps,
        graph_learner.adversary,
        token_adversary(attack, encoder_of, lms.all(), graph_learner.computing, experiment.task.quiet),
    )
    artifacts = replace(experiment.artifacts, save_text_models=lms.save)
    return Experiment(
        experiment.pipeline, experiment.graph, experiment.sources, experiment.model, experiment.task, learner, artifacts
    )


def _stores(tables: Tables) -> TextStores:
    stores = {}
    for place, by_name in tables.items():
        stores[place] = {name: table.tokens for name, table in by_name.items()}
    return stores


def _piece_tokens(lms: LanguageModels, device: torch.device) -> int:
    return min(PIECE_TOKENS[device.type], lms.activation_tokens(device))


def _other_scored(task: Task, tables: Tables) -> dict[str, FeatureSource]:
    """Inputs of scored edges from which no language model learns."""
    learnt: set[str] = set()
    for place, by_name in tables.items():
        if isinstance(place, tuple):
            learnt.update(by_name)
    return {name: source for name, source in task.scored_sources.items() if name not in learnt}


def _given_sources(sources: Sources, tables: Tables) -> Sources:
    """Inputs that training does not change."""
    fixed = {}
    for row_type, by_name in settled(sources).items():
        learnt = tables.get(input_place(row_type), {})
        fixed[row_type] = {name: source for name, source in by_name.items() if name not in learnt}
    return fixed
