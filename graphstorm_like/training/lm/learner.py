"""The learner of language models with a head, or with a graph network and a head, on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphstorm_like.config.train import TrainConfig
from graphstorm_like.graph.store import RowType
from graphstorm_like.inputs.learning_tables import LearningTables
from graphstorm_like.inputs.rank_rows import RankRows
from graphstorm_like.inputs.trained_texts import TextPass, texts_of
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.sampling.batch import MiniBatch, TextPlace, row_type_of
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.rng import stream, torch_seed
from graphstorm_like.sampling.steps import Step
from graphstorm_like.tasks import Objective, Task
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.training.adversary import InputAdversary
from graphstorm_like.training.learner import Computing, LearnableRows, loss_of, with_state
from graphstorm_like.training.lm.language_models import LanguageModels
from graphstorm_like.training.lm.mlm_term import MlmTerm
from graphstorm_like.training.lm.token_adversary import Encode, TextSteps, TokenAdversary
from graphstorm_like.training.optim import ParameterGroup, module_groups


@dataclass(frozen=True)
class LmLearner:
    """A Learner whose batches hold texts, which the language models encode in every step.

    modules: model and head. steps: what happens to a batch after its seeds are chosen. Vectors of texts are added
    later, by `backward`, since sampler processes, running ahead, would read them out of date. encoder_key: key of the
    language model that reads a node or edge type's texts.
    """

    modules: nn.ModuleDict
    model: LmGnn
    objective: Objective
    embeddings: LearnableRows
    steps: Sequence[Step]
    train: TrainConfig
    computing: Computing
    language_models: LanguageModels
    texts: LearningTables
    encoder_key: Callable[[RowType], str]
    mlm: MlmTerm | None = None
    refresh_steps: int | None = None
    """No vector in a table gets older than this many steps; None: vectors age until validation."""
    adversary: InputAdversary | None = None
    token_adversary: TokenAdversary | None = None

    @property
    def trained(self) -> nn.Module:
        """See Learner."""
        parts: dict[str, nn.Module] = {**self._modules, "lm": self.language_models}
        return nn.ModuleDict(parts if self.mlm is None else {**parts, "mlm": self.mlm})

    @property
    def _modules(self) -> nn.ModuleDict:
        """Model and head, and what the task keeps for training."""
        return with_state(self.modules, self._task.training_state)

    @property
    def _task(self) -> Task:
        task = self.modules["task"]
        assert isinstance(task, Task)
        return task

    @property
    def tables(self) -> Sequence[RankRows]:
        """See Learner."""
        return [*self.embeddings.tables.values(), *self.texts.aging()]

    def batches(self) -> BatchPipeline:
        """See Learner."""
        return BatchPipeline(self.objective.seeder(self.computing.seed, self.computing.share), self.steps)

    def groups(self) -> list[ParameterGroup]:
        """See Learner."""
        heads = [] if self.mlm is None else module_groups(self.mlm, self.train)
        return [*module_groups(self._modules, self.train), *self.language_models.groups(), *heads]

    def backward(self, batch: MiniBatch) -> tuple[float, float]:
        """See Learner. Computed vectors are written back into the tables."""
        term = self.mlm
        seeds = batch.weight * sum(len(ids) for ids in batch.seeds.values())
        if term is not None and term.config.task_weight == 0.0:
            return self._mlm_loss(term, batch, seeds), seeds

        factor = batch.weight * (1.0 if term is None else term.config.task_weight)
        full_batch, leaves = self.embeddings.put_into(batch)
        if self.token_adversary is None:
            total, count = self._through_texts(full_batch, factor)
        else:
            total, count = self.token_adversary.backward(full_batch, self._loss, factor, self._text_steps(batch))
        self.embeddings.keep_gradients(batch, leaves)
        count *= batch.weight
        return total * factor + (0.0 if term is None else self._mlm_loss(term, batch, count)), count

    def _through_texts(self, batch: MiniBatch, factor: float) -> tuple[float, float]:
        """Gradients of `factor` times the sum of losses: (the sum, the weight of its losses)."""
        steps = self._text_steps(batch)
        texts = steps.new_pass(self.encode, True)
        with self.computing.autocast():
            full_batch = self.texts.put_into(batch, texts)
        if self.adversary is None:
            loss, count = self._loss(full_batch)
            (loss * factor).backward()  # type: ignore[no-untyped-call]
            total = loss.item()
        else:
            total, count = self.adversary.backward(full_batch, self._loss, factor)
        with self.computing.autocast():
            texts.backward()
        return total, count

    def _loss(self, batch: MiniBatch, added: Tensor | None = None) -> tuple[Tensor, float]:
        """(sum of losses, their weight) of a batch with the vectors of its texts. added: to all vectors of the
        model."""
        with self.computing.autocast():
            torch.manual_seed(self.computing.dropout_seed(batch))
            return loss_of(self.objective, self._task, self.model, batch, added)

    def _text_steps(self, batch: MiniBatch) -> TextSteps:
        def seed_of(piece: int) -> int:
            return self.computing.dropout_seed(batch, piece)

        def normalizes(place: TextPlace) -> bool:
            return self._encoder(place).normalize

        def new_pass(encode: Encode, keeps: bool) -> TextPass:
            activation_tokens = self.language_models.activation_tokens(self.computing.device)
            return TextPass(encode, activation_tokens, seed_of, normalizes, keeps)

        return TextSteps(self.encode, new_pass, self.texts.put_into, self.computing.autocast)

    def encode(self, place: TextPlace, batch: TextBatch) -> Tensor:
        """Vectors [U, D] of texts of nodes or edges."""
        vectors: Tensor = self._encoder(place)(batch)
        return vectors

    def _encoder(self, place: TextPlace) -> TextEncoder:
        return self.language_models.of(self.encoder_key(row_type_of(place)))

    def _mlm_loss(self, term: MlmTerm, batch: MiniBatch, count: float) -> float:
        """Add the gradients of the masked-language-model term; returns its loss, on the scale of the task's."""
        epoch, step, seed = batch.position.epoch, batch.position.step, self.computing.seed
        pieces: list[tuple[str, TextBatch]] = []
        for place, _, chosen in texts_of(batch):
            key = self.encoder_key(row_type_of(place))
            pieces += [(key, piece) for piece in chosen.batches]

        def seed_of(piece: int) -> int:
            return torch_seed(seed, "mask", epoch, step, piece)

        return term.backward(pieces, count, stream(seed, "mask", epoch, step), seed_of, self.computing.half)

    def at(self, updates: int) -> None:
        """See Learner."""
        for table in self.texts.each_once():
            table.at(updates)

    def stepped(self, updates: int) -> dict[str, float]:
        """See Learner."""
        tables, numbers = self.texts.aging(), {**self._task.numbers(), **self._attack_numbers()}
        if not tables:
            self.at(updates)
            return numbers
        for table in tables:
            table.stepped(updates, self.refresh_steps)
        totals, counts = zip(*(table.ages_read() for table in tables), strict=True)
        return {"mean_vector_age": sum(totals) / max(1, sum(counts)), **numbers}

    def _attack_numbers(self) -> dict[str, float]:
        adversary = self.adversary or self.token_adversary
        return {} if adversary is None else adversary.cost.numbers

    def epoch_note(self) -> str:
        """See Learner."""
        adversary = self.adversary or self.token_adversary
        return "" if adversary is None else adversary.cost.note()

    def before_validation(self) -> None:
        """See Learner. Rows that the present weights computed are not computed again."""
        for table in self.texts.aging():
            table.refresh_all()
