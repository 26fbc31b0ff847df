"""Adversarial training: (1 - w) L(x) + w L(x + delta), with delta from an attack on the present weights.

The gradients that an attack needs are asked for by themselves and leave nothing in the weights' own. Each rank changes
the rows of its own batch. What is random depends on the position of the batch alone, so that a resumed run goes on as
if it had not stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from graphstorm_like.config.attacks import AttackConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.models.attacks import Attack, AttackedInputs, Rows, attack_of, without_gradients
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.rng import torch_seed
from graphstorm_like.sampling.seeds import RankSlice

LossOf = Callable[[MiniBatch, Tensor | None], tuple[Tensor, float]]
"""(batch, what is added to all vectors of the model) -> (sum of losses, their weight), with the batch's dropout."""


class Watch:
    """Seconds between two laps, in which the device of a batch has finished its work."""

    def __init__(self, batch: MiniBatch) -> None:
        self._device = next(iter(batch.seeds.values())).device
        self._last = self._now()

    def lap(self) -> float:
        """Since the last lap."""
        before, self._last = self._last, self._now()
        return self._last - before

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.monotonic()


@dataclass
class AttackCost:
    """What attacks cost since the start of an epoch, in seconds."""

    attacks: float = 0.0
    steps: float = 0.0
    count: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    """Of the last batch, for the log."""

    def add(self, attack: float, step: float) -> None:
        """Seconds of an attack, and of its batch with it."""
        self.attacks, self.steps, self.count = self.attacks + attack, self.steps + step, self.count + 1
        self.numbers["attack_seconds"] = attack

    def losses(self, clean: float, attacked: float, count: float) -> None:
        """Sums of losses without and with the attack, and their weight."""
        scale = 1.0 / max(count, 1e-12)
        self.numbers |= {"loss_clean": clean * scale, "loss_attacked": attacked * scale}

    def note(self) -> str:
        """A part of an epoch's line; the next epoch starts from 0."""
        count = max(self.count, 1)
        text = f", attacks {self.attacks / count:.4f} of {self.steps / count:.4f} s a batch"
        self.attacks, self.steps, self.count = 0.0, 0.0, 0
        return text


@dataclass(frozen=True)
class Adversary:
    """An attack in training. quiet: while it is entered, losses leave no trace in what the task keeps of its steps."""

    config: AttackConfig
    attack: Attack
    seed: int
    share: RankSlice
    quiet: Callable[[], AbstractContextManager[None]] = nullcontext
    cost: AttackCost = field(default_factory=AttackCost)

    def draw(self, batch: MiniBatch) -> torch.Generator:
        """What is random in the attack on a batch."""
        rank = (self.share.rank,) if self.share.rank else ()
        seed = torch_seed(self.seed, "attack", batch.position.epoch, batch.position.step, *rank)
        return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class InputAdversary(Adversary):
    """An attack on numbers that enter the model. inputs: on which."""

    inputs: AttackedInputs | None = None

    def backward(self, batch: MiniBatch, loss_of: LossOf, factor: float) -> tuple[float, float]:
        """Gradients of `factor` times the mixed sum of losses of a batch with all its features: (the sum, the weight of
        its losses)."""
        assert self.inputs is not None
        inputs, plain = self.inputs, without_gradients(batch)
        watch = Watch(batch)

        def gradients(changes: Rows) -> Rows:
            with self.quiet():
                return gradients_in(lambda leaves, tie: loss_of(inputs.changed(plain, leaves), tie)[0], changes, batch)

        changes = self.attack.find(inputs.rows(batch), gradients, self.draw(batch))
        attack_seconds = watch.lap()
        clean, count = loss_of(batch, None)
        clean_seconds = watch.lap()
        with self.quiet():
            attacked, _ = loss_of(inputs.changed(batch, changes), None)
        attack_seconds += watch.lap()
        weight = self.config.weight
        total = (1.0 - weight) * clean + weight * attacked
        (total * factor).backward()  # type: ignore[no-untyped-call]
        backward_seconds = watch.lap()  # of both losses at once: half of it would be there without the attack
        attack_seconds += backward_seconds / 2
        self.cost.add(attack_seconds, attack_seconds + clean_seconds + backward_seconds / 2)
        self.cost.losses(clean.item(), attacked.item(), count)
        return total.item(), count


def gradients_in(loss_of: Callable[[Rows, Tensor], Tensor], changes: Rows, batch: MiniBatch) -> Rows:
    """Gradients of a loss in changes [.., F]. loss_of: of (leaves with their values, a zero that it adds to all vectors
    of the model)."""
    leaves = [change.detach().requires_grad_() for change in changes]
    tie = zero_like(batch)
    return asked_gradients(loss_of(leaves, tie), leaves, tie)


def zero_like(batch: MiniBatch) -> Tensor:
    """A zero with gradients, on the device of a batch. Added to all vectors it keeps ranks together: a rank of whose
    batch nothing is changed still meets the others in its backward pass."""
    device = next(iter(batch.seeds.values())).device
    return torch.zeros((), device=device, requires_grad=True)


def asked_gradients(loss: Tensor, leaves: Sequence[Tensor], tie: Tensor) -> Rows:
    """Gradients of a loss in leaves, 0 where it does not depend on them. The weights' own gradients stay as they
    are."""
    found = torch.autograd.grad(loss, [*leaves, tie], allow_unused=True)[:-1]
    pairs = zip(leaves, found, strict=True)
    return [torch.zeros_like(leaf) if gradient is None else gradient for leaf, gradient in pairs]


def input_adversary(
    config: AttackConfig | None,
    model: LmGnn,
    seed: int,
    share: RankSlice,
    quiet: Callable[[], AbstractContextManager[None]],
) -> InputAdversary | None:
    """The attack on inputs or text vectors that `train.adversarial` asks for; None: none, or none on this model."""
    if config is None or config.on == "tokens":
        return None
    inputs = AttackedInputs(model, config.on == "text_vectors")
    if not inputs.places() and model.reads_only_text:
        return None  # a phase without a graph network; one with it follows
    if not inputs.places():
        raise ConfigError(
            f"train.adversarial.on: must be inputs or text_vectors that the model reads (got {config.on}, of which it "
            f"reads none). Choose the other one, or look at model.inputs"
        )
    return InputAdversary(config, attack_of(config), seed, share, quiet, inputs=inputs)
