"""Adversarial training on the embeddings of tokens (Miyato et al. 2017; per token: FreeLB, Zhu et al. 2020).

A change [U, L, E] of a piece of texts is in standard deviations of the language model's token embeddings, and is added
to what its embedding layer gives. Pieces whose autograd graph is not kept are encoded again for the attack too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from graphstorm_like.config.attacks import AttackConfig
from graphstorm_like.inputs.trained_texts import TextPass, texts_of
from graphstorm_like.models.attacks import Rows, attack_of
from graphstorm_like.sampling.batch import MiniBatch, TextPlace
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.training.adversary import Adversary, LossOf, Watch, asked_gradients, zero_like
from graphstorm_like.training.learner import Computing

Encode = Callable[[TextPlace, TextBatch], Tensor]


@dataclass(frozen=True)
class TextSteps:
    """How a learner makes vectors of texts. encode: of a piece; new_pass: (what encodes, whether vectors are written
    into the tables) -> a pass over a batch's texts; full: the batch with the vectors of a pass."""

    encode: Encode
    new_pass: Callable[[Encode, bool], TextPass]
    full: Callable[[MiniBatch, TextPass], MiniBatch]
    autocast: Callable[[], torch.autocast]


@contextmanager
def moved_tokens(encoder: TextEncoder, change: Tensor) -> Iterator[None]:
    """While it is entered, the embeddings [U, L, E] of tokens are moved."""
    layer = encoder.backbone.get_input_embeddings()  # type: ignore[operator]
    hook = layer.register_forward_hook(lambda _module, _inputs, embeddings: embeddings + change.to(embeddings.dtype))
    try:
        yield
    finally:
        hook.remove()


def embedding_unit(encoder: TextEncoder) -> float:
    """Standard deviation of the entries of the token embeddings."""
    layer = encoder.backbone.get_input_embeddings()  # type: ignore[operator]
    return float(layer.weight.detach().float().std())


@dataclass(frozen=True)
class TokenAdversary(Adversary):
    """encoder_of: the language model of a place. units: by its number, see embedding_unit; taken before training."""

    encoder_of: Callable[[TextPlace], TextEncoder] | None = None
    units: dict[int, float] | None = None

    def backward(self, batch: MiniBatch, loss_of: LossOf, factor: float, steps: TextSteps) -> tuple[float, float]:
        """Gradients of `factor` times the mixed sum of losses: (the sum, the weight of its losses)."""
        watch = Watch(batch)
        pieces = [(place, piece) for place, _, texts in texts_of(batch) for piece in texts.batches]

        def gradients(changes: Rows) -> Rows:
            leaves = [change.detach().requires_grad_() for change in changes]
            texts = steps.new_pass(self._moving(pieces, leaves, steps.encode), False)
            tie = zero_like(batch)
            with steps.autocast():
                attacked = steps.full(batch, texts)
            with self.quiet():
                loss, _ = loss_of(attacked, tie)
            later = texts.unfinished()
            found = asked_gradients(loss, [*leaves, *(piece.vectors for piece in later)], tie)
            for piece, gradient in zip(later, found[len(leaves) :], strict=True):
                with steps.autocast():
                    vectors = piece.encode()
                again = torch.autograd.grad(vectors, leaves, gradient, allow_unused=True)
                pairs = zip(found, again, strict=False)
                found[: len(leaves)] = [known if more is None else known + more for known, more in pairs]
            return found[: len(leaves)]

        changes = self.attack.find([self._like(*piece) for piece in pieces], gradients, self.draw(batch))
        attack_seconds, weight = watch.lap(), self.config.weight
        texts = steps.new_pass(steps.encode, True)
        clean, count = _one_pass(batch, loss_of, factor * (1.0 - weight), texts, steps)
        clean_seconds = watch.lap()
        texts = steps.new_pass(self._moving(pieces, changes, steps.encode), False)
        with self.quiet():
            attacked, _ = _one_pass(batch, loss_of, factor * weight, texts, steps)
        attack_seconds += watch.lap()
        self.cost.add(attack_seconds, attack_seconds + clean_seconds)
        self.cost.losses(clean, attacked, count)
        return (1.0 - weight) * clean + weight * attacked, count

    def _like(self, place: TextPlace, piece: TextBatch) -> Tensor:
        """Of the shape of a piece's token embeddings."""
        assert self.encoder_of is not None
        width = self.encoder_of(place).backbone.get_input_embeddings().weight.shape[1]  # type: ignore[operator]
        return torch.empty((*piece.input_ids.shape, width), device=piece.input_ids.device)

    def _moving(
        self, pieces: Sequence[tuple[TextPlace, TextBatch]], changes: Sequence[Tensor], encode: Encode
    ) -> Encode:
        """`encode` with the tokens of each piece moved."""
        assert self.encoder_of is not None
        assert self.units is not None
        encoder_of, units = self.encoder_of, self.units
        change_of = {id(piece): change for (_, piece), change in zip(pieces, changes, strict=True)}

        def moved(place: TextPlace, piece: TextBatch) -> Tensor:
            encoder = encoder_of(place)
            with moved_tokens(encoder, change_of[id(piece)] * units[id(encoder)]):
                return encode(place, piece)

        return moved


def _one_pass(
    batch: MiniBatch, loss_of: LossOf, factor: float, texts: TextPass, steps: TextSteps
) -> tuple[float, float]:
    """Gradients of `factor` times the sum of losses of a batch, from its texts on: (the sum, its weight)."""
    with steps.autocast():
        whole = steps.full(batch, texts)
    loss, count = loss_of(whole, None)
    (loss * factor).backward()  # type: ignore[no-untyped-call]
    with steps.autocast():
        texts.backward()
    return loss.item(), count


def token_adversary(
    config: AttackConfig | None,
    encoder_of: Callable[[TextPlace], TextEncoder],
    encoders: Sequence[TextEncoder],
    computing: Computing,
    quiet: Callable[[], AbstractContextManager[None]],
) -> TokenAdversary | None:
    """The attack on tokens that `train.adversarial` asks for; None: none. encoders: all language models."""
    if config is None or config.on != "tokens":
        return None
    units = {id(encoder): embedding_unit(encoder) for encoder in encoders}
    attack, seed, share = attack_of(config), computing.seed, computing.share
    return TokenAdversary(config, attack, seed, share, quiet, encoder_of=encoder_of, units=units)
