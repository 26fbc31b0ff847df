"""Experiments whose language model learns: alone with a head, or together with a graph network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.stages import JointStage
from graphstorm_like.graph.partitioned import PartitionedGraph
from graphstorm_like.graph.store import Graph, NodeType, RowType
from graphstorm_like.sampling.batch import EdgeTargets, MiniBatch, TrainedTexts
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import stream, torch_seed
from graphstorm_like.sampling.stages import FetchFeatures
from graphstorm_like.tasks import Objective, task_node_types
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.device import choose_device, uses_bfloat16
from graphstorm_like.training.distributed import cluster, group
from graphstorm_like.training.edge_inputs import give_scored_inputs, scored_inputs
from graphstorm_like.training.experiment import (
    Experiment,
    Sources,
    graph_inputs,
    graph_model,
    open_graph,
    seeded_task,
    text_modules,
)
from graphstorm_like.training.lm.language_models import LanguageModels
from graphstorm_like.training.lm.mlm_term import MlmTerm
from graphstorm_like.training.lm.shared_tokens import SharedTokens, training_tokens
from graphstorm_like.training.lm.table import AgingVectors, FreshVectors, TablePlace, VectorTable
from graphstorm_like.training.lm.texts import (
    FetchTexts,
    SeedsAndNeighbors,
    SeedsOnly,
    TextPass,
    TextStores,
    all_inputs,
    replace_rows,
    texts_of,
)
from graphstorm_like.training.optim import ParameterGroup, module_groups
from graphstorm_like.training.progress import Reporter
from graphstorm_like.training.rank_rows import RankRows
from graphstorm_like.training.text_vectors import CachedText, SharedText, TextSource, text_inputs, text_vectors

Tables = Mapping[RowType, Mapping[str, VectorTable]]
"""By type and input name ('text:...')."""

_names = itertools.count()

PIECE_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Padded tokens of one forward pass: on a CPU few, for its caches."""


@dataclass(frozen=True)
class LmExperiment(Experiment):
    """Trains language models with what is on top of them. joint: with a graph network; None: a head alone."""

    language_models: LanguageModels = field(kw_only=True)
    tables: Tables = field(kw_only=True)
    joint: JointStage | None = None
    other_objective: Objective | None = None
    """Instead of the task's own loss."""
    mlm: MlmTerm | None = None

    @property
    def objective(self) -> Objective:
        """See Experiment."""
        return self.task if self.other_objective is None else self.other_objective

    @property
    def trained(self) -> nn.Module:
        """See Experiment."""
        parts: dict[str, nn.Module] = {**self.modules, "lm": self.language_models}
        return nn.ModuleDict(parts if self.mlm is None else {**parts, "mlm": self.mlm})

    @property
    def tables_in_training(self) -> list[RankRows]:
        """See Experiment."""
        return [*super().tables_in_training, *self._aging()]

    def _aging(self) -> list[AgingVectors]:
        every = [table for by_name in self.tables.values() for table in by_name.values()]
        return [table for table in every if isinstance(table, AgingVectors)]

    @property
    def _piece_tokens(self) -> int:
        return min(PIECE_TOKENS[self.device.type], self.language_models.activation_tokens(self.device))

    def batches(self) -> BatchPipeline:
        """See Experiment. Vectors of texts are put in later, by `backward`: sampler processes must not see them age."""
        seed = self.pipeline.seed
        stores: TextStores = {t: {n: v.tokens for n, v in by_name.items()} for t, by_name in self.tables.items()}
        seeder = self.objective.seeder(seed, self.share)
        learnt = {name for t, by_name in self.tables.items() if not isinstance(t, str) for name in by_name}
        scored = {name: source for name, source in self.task.scored_sources.items() if name not in learnt}
        if self.joint is None:
            every = FetchTexts(stores, all_inputs, self._piece_tokens)
            return BatchPipeline(seeder, [SeedsOnly(), FetchFeatures({}, scored), every])
        # The budget of tokens is that of all ranks together.
        tokens, rank = -(-self.joint.lm_tokens // self.share.size), self.share.rank
        choose = SeedsAndNeighbors(stores, self.joint.neighbors, self.joint.choose, tokens, seed, rank)
        settled = self._settled()
        for row_type, by_name in self.tables.items():
            if isinstance(row_type, str):  # texts of edges are trained for the head; in messages they are as before
                settled[row_type] = {n: s for n, s in settled[row_type].items() if n not in by_name}
        fetch_texts = FetchTexts(stores, choose, self._piece_tokens)
        return BatchPipeline(seeder, [self._sampling(), FetchFeatures(settled, scored), fetch_texts])

    def groups(self) -> list[ParameterGroup]:
        """See Experiment."""
        heads = [] if self.mlm is None else module_groups(self.mlm, self.pipeline.train)
        return [*super().groups(), *self.language_models.groups(), *heads]

    def backward(self, batch: MiniBatch) -> tuple[float, float]:
        """See Experiment. What is computed is written back into the table."""
        term = self.mlm
        seeds = batch.weight * sum(len(ids) for ids in batch.seeds.values())
        if term is not None and term.config.task_weight == 0.0:
            return self._mlm_loss(term, batch, seeds), seeds

        def seed_of(piece: int) -> int:
            return self._dropout_seed(batch, piece)

        def normalizes(row_type: RowType) -> bool:
            return self.language_models.of(self.pipeline.model.encoder_key(row_type)).normalize

        texts = TextPass(self._encode, self.language_models.activation_tokens(self.device), seed_of, normalizes)
        batch, leaves = self.with_embeddings(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            batch = self._with_vectors(batch, texts)
            torch.manual_seed(self._dropout_seed(batch))
            loss, count = self.objective.loss(self.model(batch), batch)
            loss, count = loss * batch.weight, count * batch.weight
            if term is not None:
                loss = loss * term.config.task_weight
        loss.backward()  # type: ignore[no-untyped-call]
        self._touch(batch, leaves)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            texts.backward()
        return loss.item() + (0.0 if term is None else self._mlm_loss(term, batch, count)), count

    def _mlm_loss(self, term: MlmTerm, batch: MiniBatch, count: float) -> float:
        """Adds the gradients of the masked-language-model term; its loss, on the scale of the task's."""
        epoch, step, seed = batch.position.epoch, batch.position.step, self.pipeline.seed
        key_of = self.pipeline.model.encoder_key
        texts = [(key_of(t), piece) for t, _, chosen in texts_of(batch) for piece in chosen.batches]

        def seed_of(piece: int) -> int:
            return torch_seed(seed, "mask", epoch, step, piece)

        return term.backward(texts, count, stream(seed, "mask", epoch, step), seed_of, self.half)

    def _encode(self, row_type: RowType, name: str, batch: TextBatch) -> Tensor:
        vectors: Tensor = self.language_models.of(self.pipeline.model.encoder_key(row_type))(batch)
        return vectors

    def _with_vectors(self, batch: MiniBatch, texts: TextPass) -> MiniBatch:
        """The batch with vectors of its trained texts in its features, or those of scored edges in its targets, the
        others' from the tables."""
        features = {t: dict(by_name) for t, by_name in batch.features.items()}
        scored: dict[str, Tensor] = {}
        trained = {(t, name): chosen for t, name, chosen in texts_of(batch)}
        for row_type, by_name in self.tables.items():
            if (found := batch.rows(row_type)) is None:
                continue
            ids = found.cpu().numpy()
            for name, table in by_name.items():
                chosen: TrainedTexts | None = trained.get((row_type, name))
                if chosen is None or not len(chosen.at):
                    rows = torch.from_numpy(table.rows(ids)).to(self.device)
                else:
                    distinct, vectors = texts.vectors(row_type, name, chosen)
                    whole = len(chosen.at) == len(ids)  # then nothing is read from the table
                    old = np.zeros((len(ids), table.width), dtype=np.float16) if whole else table.rows(ids)
                    rows = replace_rows(torch.from_numpy(old).to(self.device), chosen.at, vectors)
                    if isinstance(table, AgingVectors):
                        table.put(chosen.unique.cpu().numpy(), distinct)
                (features.setdefault(row_type, {}) if isinstance(row_type, str) else scored)[name] = rows
        targets = batch.targets
        if scored and isinstance(targets, EdgeTargets):
            targets = replace(targets, inputs={**targets.inputs, **scored})
        return batch.replace(features=features, targets=targets)

    def stepped(self, updates: int) -> dict[str, float]:
        """See Experiment."""
        if self.joint is None:
            self.at(updates)
            return {}
        tables = self._aging()
        for table in tables:
            table.stepped(updates, self.joint.refresh_steps)
        read = [table.ages_read() for table in tables]
        return {"mean_vector_age": sum(total for total, _ in read) / max(1, sum(count for _, count in read))}

    def before_validation(self) -> None:
        """See Experiment. Rows that the present weights gave are not computed again."""
        for table in self._aging():
            table.refresh_all()

    def at(self, updates: int) -> None:
        """See Experiment."""
        for by_name in self.tables.values():
            for table in by_name.values():
                table.at(updates)

    def save_text_models(self) -> Callable[[Path], None]:
        """See Experiment."""
        return self.language_models.save


Stores = dict[RowType, dict[str, TokenStore | SharedTokens]]


def token_stores(
    pipeline: Pipeline, graph: Graph, lms: LanguageModels, reporter: Reporter, node_types: tuple[NodeType, ...] | None
) -> Stores:
    """Tokens of every text of nodes that enters the model (of some types: None for all), and of every text of scored
    edges that enters the head; by type and input name."""
    wanted: dict[RowType, list[str]] = {
        t: names for t, names in text_inputs(pipeline, graph.manifest).items() if node_types is None or t in node_types
    }
    wanted |= {t: texts for t, (_, texts) in scored_inputs(pipeline.task, graph.manifest).items() if texts}
    found: Stores = {}
    for row_type, names in wanted.items():
        key = pipeline.model.encoder_key(row_type)
        chunks, cache = pipeline.model.text_encoders()[key].chunks, Path(str(pipeline.cache))
        found[row_type] = {
            f"text:{name}": training_tokens(graph, row_type, name, lms.of(key), cache, chunks, reporter)
            for name in names
        }
    return found


def _by_text(tables: Tables) -> dict[RowType, dict[str, VectorTable]]:
    """The same by the names of the texts."""
    return {t: {n.removeprefix("text:"): table for n, table in by_name.items()} for t, by_name in tables.items()}


def first_vectors(source: TextSource) -> npt.NDArray[np.float16]:
    """[U, D] vectors of the distinct texts of this host, as they are before training."""
    if isinstance(source, CachedText):
        return source.cache.vectors
    where = cluster()
    assert isinstance(source, SharedText)
    assert where is not None
    return source.of_host(where.shm)


def load_language_models(pipeline: Pipeline) -> LanguageModels:
    """The pipeline's language models, ready to learn."""
    device = choose_device(pipeline.train.device)
    half = uses_bfloat16(pipeline.train.precision, device)
    # LoRA draws its first weights.
    torch.manual_seed(torch_seed(pipeline.seed, "model", 2))
    return LanguageModels.load(pipeline.model.text_encoders(), pipeline.train.lm, device, half).to(device)


def mlm_term(pipeline: Pipeline, lms: LanguageModels) -> MlmTerm | None:
    """The masked-language-model term that `train.lm.mlm` asks for, with seeded heads."""
    if pipeline.train.lm.mlm is None:
        return None
    torch.manual_seed(torch_seed(pipeline.seed, "model", 3))
    return MlmTerm(pipeline.train.lm.mlm, lms).to(choose_device(pipeline.train.device))


def build_lm_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> LmExperiment:
    """The language model with a head for the pipeline's task. hidden: map its vectors to a width first."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    lms = load_language_models(pipeline)
    tables: dict[RowType, dict[str, VectorTable]] = {}
    half = uses_bfloat16(pipeline.train.precision, device)
    types = task_node_types(pipeline.task, graph.manifest)
    for row_type, by_name in token_stores(pipeline, graph, lms, reporter, types).items():
        encoder = lms.of(pipeline.model.encoder_key(row_type))
        tables[row_type] = {name: FreshVectors(encoder, store, half) for name, store in by_name.items()}
    modules = text_modules(pipeline, graph, _by_text(tables), hidden).to(device)
    sources: Sources = {t: dict(tables.get(t, {})) for t in types}
    return LmExperiment(
        pipeline, graph, sources, modules, device, language_models=lms, tables=tables, mlm=mlm_term(pipeline, lms)
    )


def table_place(graph: Graph, row_type: RowType, number: int) -> TablePlace:
    """Where this process has a table. number: of the table among those of the stage. Ranks make their tables in one
    order, so that a name is the same table's everywhere."""
    where = cluster()
    shared = graph if isinstance(graph, PartitionedGraph) else None
    return TablePlace(number, f"aging:{next(_names)}", row_type, shared, group(), None if where is None else where.shm)


def build_joint_experiment(pipeline: Pipeline, stage: JointStage, reporter: Reporter) -> LmExperiment:
    """Language model and graph network end to end; vectors start from the embedding cache."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    task = seeded_task(pipeline, graph, pipeline.model.gnn.hidden)
    vectors = text_vectors(pipeline, graph, reporter)
    inputs = graph_inputs(pipeline, graph, vectors)
    sources = dict(inputs.sources)
    lms = load_language_models(pipeline)
    tables: dict[RowType, dict[str, VectorTable]] = {}
    half, numbers = uses_bfloat16(pipeline.train.precision, device), itertools.count()
    for row_type, by_name in token_stores(pipeline, graph, lms, reporter, None).items():
        encoder, cached = lms.of(pipeline.model.encoder_key(row_type)), vectors[row_type]
        tables[row_type] = {}
        for name, store in by_name.items():
            start = first_vectors(cached[name.removeprefix("text:")])
            place = table_place(graph, row_type, next(numbers))
            tables[row_type][name] = AgingVectors(encoder, store, half, start, place)
        if isinstance(row_type, str):
            sources[row_type] = {**sources[row_type], **tables[row_type]}
    give_scored_inputs(task, pipeline, graph, _by_text(tables))
    modules = nn.ModuleDict({"model": graph_model(pipeline, graph, inputs), "task": task}).to(device)
    mlm = mlm_term(pipeline, lms)
    return LmExperiment(
        pipeline, graph, sources, modules, device, language_models=lms, tables=tables, joint=stage, mlm=mlm
    )
