"""Experiments whose language model learns: alone with a head, or together with a graph network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.phases.joint import JointPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.device import choose_device, uses_bfloat16
from graphstorm_like.graph.partitioned import PartitionedGraph
from graphstorm_like.graph.store import Block, Graph, RowType
from graphstorm_like.inputs.build import Sources, graph_inputs
from graphstorm_like.inputs.choose import all_texts, chosen_edge_inputs, node_texts, scored_inputs
from graphstorm_like.inputs.edges import give_scored_inputs
from graphstorm_like.inputs.learning_text import AgingVectors, FreshVectors, ReorderedVectors, TablePlace, VectorTable
from graphstorm_like.inputs.rank_rows import RankRows
from graphstorm_like.inputs.shared_tokens import SharedTokens, training_tokens
from graphstorm_like.inputs.source import CachedText, SharedText, TextSource, TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.inputs.trained_texts import (
    FetchTexts,
    SeedsAndNeighbors,
    SeedsOnly,
    TextPass,
    TextStores,
    all_inputs,
    replace_rows,
    texts_of,
)
from graphstorm_like.modality import TEXT, input_name, split_input_name
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.names import TABLE_NAMES
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.batch import EdgeTargets, Messages, MiniBatch, Place, TrainedTexts, row_type_of
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import stream, torch_seed
from graphstorm_like.sampling.stages import FetchFeatures
from graphstorm_like.tasks import Objective, task_node_types
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.experiment import (
    Experiment,
    graph_model,
    open_graph,
    seeded_task,
    text_modules,
)
from graphstorm_like.training.lm.language_models import LanguageModels
from graphstorm_like.training.lm.mlm_term import MlmTerm
from graphstorm_like.training.optim import ParameterGroup, module_groups

Tables = Mapping[Place, Mapping[str, VectorTable]]
"""By place and input name."""
Reading = Callable[[], npt.NDArray[np.floating[Any]]]
"""Waits for rows [N, D] that were asked for."""

PIECE_TOKENS = {"cpu": 4096, "cuda": 32768}
"""Padded tokens of one forward pass: on a CPU few, for its caches."""


@dataclass(frozen=True)
class LmExperiment(Experiment):
    """Trains language models with what is on top of them. joint: with a graph network; None: a head alone."""

    language_models: LanguageModels = field(kw_only=True)
    tables: Tables = field(kw_only=True)
    joint: JointPhase | None = None
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

    def _once(self) -> list[FreshVectors | AgingVectors]:
        """Every table once, though several places read it, or one by other ids alone."""
        every = [table for by_name in self.tables.values() for table in by_name.values()]
        return list(dict.fromkeys(t.table if isinstance(t, ReorderedVectors) else t for t in every))

    def _aging(self) -> list[AgingVectors]:
        return [table for table in self._once() if isinstance(table, AgingVectors)]

    @property
    def _piece_tokens(self) -> int:
        return min(PIECE_TOKENS[self.device.type], self.language_models.activation_tokens(self.device))

    def batches(self) -> BatchPipeline:
        """See Experiment. Vectors of texts are put in later, by `backward`: sampler processes must not see them age."""
        seed = self.pipeline.seed
        stores: TextStores = {p: {n: v.tokens for n, v in by_name.items()} for p, by_name in self.tables.items()}
        seeder = self.objective.seeder(seed, self.share)
        learnt = {name for p, by_name in self.tables.items() if isinstance(p, tuple) for name in by_name}
        scored = {name: source for name, source in self.task.scored_sources.items() if name not in learnt}
        if self.joint is None:
            every = FetchTexts(stores, all_inputs, self._piece_tokens)
            return BatchPipeline(seeder, [SeedsOnly(), FetchFeatures({}, scored), every])
        # The budget of tokens is that of all ranks together.
        tokens, rank = -(-self.joint.lm_tokens // self.share.size), self.share.rank
        choose = SeedsAndNeighbors(stores, self.joint.neighbors, self.joint.choose, tokens, seed, rank)
        settled = {
            t: {n: s for n, s in by_name.items() if n not in self.tables.get(input_place(t), {})}
            for t, by_name in self._settled().items()
        }
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

        def normalizes(place: Place) -> bool:
            return self._encoder(place).normalize

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
        texts = [(key_of(row_type_of(p)), piece) for p, _, chosen in texts_of(batch) for piece in chosen.batches]

        def seed_of(piece: int) -> int:
            return torch_seed(seed, "mask", epoch, step, piece)

        return term.backward(texts, count, stream(seed, "mask", epoch, step), seed_of, self.half)

    def _encoder(self, place: Place) -> TextEncoder:
        return self.language_models.of(self.pipeline.model.encoder_key(row_type_of(place)))

    def _encode(self, place: Place, batch: TextBatch) -> Tensor:
        vectors: Tensor = self._encoder(place)(batch)
        return vectors

    def _with_vectors(self, batch: MiniBatch, texts: TextPass) -> MiniBatch:
        """The batch with vectors of its trained texts among its inputs, the others' from the tables."""
        features = {t: dict(by_name) for t, by_name in batch.features.items()}
        targets, messages = batch.targets, {}
        # All is begun before anything is waited for: rows on other hosts come in one answer a host.
        begun = {p: self._begin(p, ids, batch) for p in self.tables if (ids := batch.rows(p)) is not None}
        outer = [self._begin_messages(block, batch) for block in batch.blocks[:-1]]
        for place, by_name in begun.items():
            made = {name: self._rows(place, name, batch, read(), texts) for name, read in by_name.items()}
            if isinstance(place, str):
                features.setdefault(place, {}).update(made)
            elif isinstance(place, Messages):
                messages[place.edge_type] = made
            elif isinstance(targets, EdgeTargets):
                targets = replace(targets, inputs={**targets.inputs, **made})
        settled = [
            {t: {n: self._tensor(read()) for n, read in r.items()} for t, r in by_type.items()} for by_type in outer
        ]
        blocks = [with_inputs(b, found) for b, found in zip(batch.blocks, [*settled, messages], strict=False)]
        return batch.replace(features=features, targets=targets, blocks=tuple(blocks))

    def _tensor(self, rows: npt.NDArray[np.floating[Any]]) -> Tensor:
        return torch.from_numpy(rows).to(self.device)

    def _begin(self, place: Place, rows: Tensor, batch: MiniBatch) -> dict[str, Reading]:
        """Ask the tables of a place for vectors of some nodes or edges [N]. Where all are trained, none is read."""
        ids, trained = rows.cpu().numpy(), batch.texts.get(place, {})

        def begin(table: VectorTable, texts: TrainedTexts | None) -> Reading:
            if texts is not None and len(texts.at) == len(ids):
                return partial(np.zeros, (len(ids), table.width), np.float16)
            return table.begin_rows(ids)

        return {name: begin(table, trained.get(name)) for name, table in self.tables[place].items()}

    def _begin_messages(self, block: Block, batch: MiniBatch) -> dict[EdgeType, dict[str, Reading]]:
        """Ask for the vectors of the texts of a block's edges, of which none is trained."""
        relations = {Messages(t): r for t, r in block.relations.items() if Messages(t) in self.tables}
        untrained = batch.replace(texts={})
        return {p.edge_type: self._begin(p, r.edge_ids, untrained) for p, r in relations.items()}

    def _rows(
        self, place: Place, name: str, batch: MiniBatch, old: npt.NDArray[np.floating[Any]], texts: TextPass
    ) -> Tensor:
        """[N, D] vectors of nodes or edges: what was read, but for trained texts, whose have gradients. What is
        computed is put into the table."""
        trained, table = batch.texts.get(place, {}).get(name), self.tables[place][name]
        if trained is None or not len(trained.at):
            return self._tensor(old)
        distinct, vectors = texts.vectors(place, trained)
        if not isinstance(table, FreshVectors):
            table.put(trained.unique.cpu().numpy(), distinct)
        return replace_rows(self._tensor(old), trained.at, vectors)

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
        for table in self._once():
            table.at(updates)

    def save_text_models(self) -> Callable[[Path], None]:
        """See Experiment."""
        return self.language_models.save


def input_place(row_type: RowType) -> Place:
    """Where inputs of the graph network belong to."""
    return row_type if isinstance(row_type, str) else Messages(row_type)


def with_inputs(block: Block, inputs: Mapping[EdgeType, Mapping[str, Tensor]]) -> Block:
    """The block with more edge inputs."""
    changed = {t: replace(r, inputs={**r.inputs, **inputs.get(t, {})}) for t, r in block.relations.items()}
    return replace(block, relations=changed)


def tokens_of(
    pipeline: Pipeline, graph: Graph, lms: LanguageModels, reporter: Reporter, row_type: RowType, name: str
) -> TokenStore | SharedTokens:
    """Tokens of a text of a type."""
    key = pipeline.model.encoder_key(row_type)
    chunks, cache = pipeline.model.text_encoders()[key].chunks, Path(str(pipeline.cache))
    return training_tokens(graph, row_type, name, lms.of(key), cache, chunks, reporter)


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
    return MlmTerm(pipeline.train.lm.mlm, lms, group()).to(choose_device(pipeline.train.device))


def build_lm_experiment(pipeline: Pipeline, reporter: Reporter, hidden: int | None = None) -> LmExperiment:
    """The language model with a head for the pipeline's task. hidden: map its vectors to a width first."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    lms = load_language_models(pipeline)
    tables: dict[Place, dict[str, VectorTable]] = {}
    half = uses_bfloat16(pipeline.train.precision, device)
    types = task_node_types(pipeline.task, graph.manifest)
    wanted: dict[RowType, list[str]] = {
        **{t: names for t, names in node_texts(pipeline.model, graph.manifest).items() if t in types},
        **{t: names for t, (_, names) in scored_inputs(pipeline.task, graph.manifest).items() if names},
    }
    for row_type, names in wanted.items():
        encoder = lms.of(pipeline.model.encoder_key(row_type))
        stores = {name: tokens_of(pipeline, graph, lms, reporter, row_type, name) for name in names}
        tables[row_type] = {
            input_name(TEXT, name): FreshVectors(encoder, store, half) for name, store in stores.items()
        }
    modules = text_modules(pipeline, graph, _by_text(tables), hidden).to(device)
    sources: Sources = {t: dict(tables.get(t, {})) for t in types}
    return LmExperiment(
        pipeline, graph, sources, modules, device, language_models=lms, tables=tables, mlm=mlm_term(pipeline, lms)
    )


def aging_tables(
    pipeline: Pipeline, graph: Graph, lms: LanguageModels, vectors: TextVectors, reporter: Reporter
) -> dict[Place, dict[str, VectorTable]]:
    """Of every text that enters model and head. vectors: what they are at first."""
    half = uses_bfloat16(pipeline.train.precision, choose_device(pipeline.train.device))
    made: dict[tuple[RowType, str], AgingVectors] = {}
    tables: dict[RowType, dict[str, VectorTable]] = {}
    for row_type, by_name in vectors.items():
        tables[row_type] = {}
        for name, source in by_name.items():
            # A reverse has the texts of its original: one table for both.
            order = source.order if isinstance(source, CachedText) else None
            origin = row_type if order is None or isinstance(row_type, str) else graph.manifest.edge(row_type).reverse
            assert origin is not None
            if (table := made.get((origin, name))) is None:
                encoder = lms.of(pipeline.model.encoder_key(origin))
                store = tokens_of(pipeline, graph, lms, reporter, origin, name)
                place = table_place(graph, origin, len(made))
                table = made[origin, name] = AgingVectors(encoder, store, half, first_vectors(source), place)
            tables[row_type][input_name(TEXT, name)] = table if order is None else ReorderedVectors(table, order)
    messages, scored = chosen_edge_inputs(pipeline.model, graph.manifest), scored_inputs(pipeline.task, graph.manifest)
    places: dict[Place, list[str]] = {
        **{t: list(by_name) for t, by_name in vectors.items() if isinstance(t, str)},
        **{t: texts for t, (_, texts) in scored.items() if texts},
        **{Messages(t): texts for t, (_, texts) in messages.items() if texts},
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


def build_joint_experiment(pipeline: Pipeline, phase: JointPhase, reporter: Reporter) -> LmExperiment:
    """Language model and graph network end to end; vectors start from the embedding cache."""
    graph, device = open_graph(pipeline), choose_device(pipeline.train.device)
    task = seeded_task(pipeline, graph, pipeline.model.gnn.hidden)
    wanted = all_texts(pipeline.model, pipeline.task, graph.manifest)
    vectors = text_vectors(pipeline.model, wanted, graph, Path(pipeline.cache), device, reporter)
    inputs = graph_inputs(pipeline.model, graph, vectors, pipeline.seed)
    lms = load_language_models(pipeline)
    tables = aging_tables(pipeline, graph, lms, vectors, reporter)
    sources = {t: {**by_name, **tables.get(input_place(t), {})} for t, by_name in inputs.sources.items()}
    give_scored_inputs(task, pipeline.task, graph, _by_text(tables), pipeline.seed)
    modules = nn.ModuleDict({"model": graph_model(pipeline, graph, inputs), "task": task}).to(device)
    mlm = mlm_term(pipeline, lms)
    return LmExperiment(
        pipeline, graph, sources, modules, device, language_models=lms, tables=tables, joint=phase, mlm=mlm
    )
