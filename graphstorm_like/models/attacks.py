"""Attacks on inputs. graphstorm_like/config/attacks.py says when to use which."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphstorm_like.config.attacks import AttackConfig, FgmConfig, PgdConfig
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.graph.store import NodeType
from graphstorm_like.modality import TEXT, input_name
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.registry import Registry
from graphstorm_like.sampling.batch import MiniBatch

Rows = list[Tensor]
"""Changes, or gradients in them, [.., F] each."""
Gradients = Callable[[Rows], Rows]
"""Changes -> the gradients of the loss in them."""

ATTACKS: Registry[type[Attack]] = Registry("attack")
TINY = 1e-12


class Attack(ABC):
    """config: of the attack's own class."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def find(self, like: Sequence[Tensor], gradients: Gradients, draw: torch.Generator) -> Rows:
        """Changes [.., F] of the shapes of `like`. draw: what is random, on the CPU."""

    def _none(self, like: Sequence[Tensor]) -> Rows:
        return [torch.zeros_like(rows, dtype=torch.float32) for rows in like]


def attack_of(config: AttackConfig) -> Attack:
    """The operator of a configuration."""
    return ATTACKS.of(config)(config)


def steepest(norm: str, gradient: Tensor) -> Tensor:
    """The rows of size 1 along which the loss grows fastest; 0 where the gradient is 0."""
    if norm == "linf":
        signs: Tensor = gradient.sign()
        return signs
    # Scaled first: the squares of small gradients would be 0.
    scaled = gradient / gradient.abs().amax(dim=-1, keepdim=True).clamp(min=TINY)
    unit: Tensor = scaled / scaled.norm(dim=-1, keepdim=True).clamp(min=TINY)
    return unit


def within(norm: str, change: Tensor, epsilon: float) -> Tensor:
    """The nearest rows that are not larger than epsilon."""
    if norm == "linf":
        return change.clamp(-epsilon, epsilon)
    shrink = (epsilon / change.norm(dim=-1, keepdim=True).clamp(min=TINY)).clamp(max=1.0)
    within_size: Tensor = change * shrink
    return within_size


def random_rows(norm: str, like: Tensor, epsilon: float, draw: torch.Generator) -> Tensor:
    """Rows drawn evenly from all that are not larger than epsilon."""
    shape = like.shape
    if norm == "linf":
        drawn = (2.0 * torch.rand(shape, generator=draw) - 1.0) * epsilon
        return drawn.to(like.device)
    direction = torch.randn(shape, generator=draw)
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=TINY)
    radius = epsilon * torch.rand((*shape[:-1], 1), generator=draw) ** (1.0 / max(shape[-1], 1))
    of_size: Tensor = direction * radius
    return of_size.to(like.device)


@ATTACKS.register(FgmConfig)
class Fgm(Attack):
    """The fast gradient method (Goodfellow et al. 2015; l2: Miyato et al. 2017), g the gradient of the loss in a row:

    l2: delta = epsilon g / |g|;   linf: delta = epsilon sign(g)
    """

    config: FgmConfig

    def find(self, like: Sequence[Tensor], gradients: Gradients, draw: torch.Generator) -> Rows:
        """See Attack."""
        config = self.config
        return [config.epsilon * steepest(config.norm, gradient) for gradient in gradients(self._none(like))]


# Which inputs of a batch an attack changes, and the batch with changes of them.
#
# A change [N, F] of an input is in units of that input (see InputEncoder.unit): x' = x + change * unit.


Place = tuple[NodeType, str]
"""Node type and name of the input."""


@dataclass(frozen=True)
class AttackedInputs:
    """The inputs of a model that attacks change: text vectors, or all other numbers but sparse ones, whose zeros a
    change would fill. text: which of both."""

    model: LmGnn
    text: bool

    def places(self) -> list[Place]:
        """All of them, of all node types."""
        found: list[Place] = []
        for node_type, names in self.model.inputs.numbers().items():
            found += [(node_type, name) for name in names if name.startswith(input_name(TEXT, "")) == self.text]
        return found

    def of(self, batch: MiniBatch) -> list[Place]:
        """Those that a batch has rows of."""
        return [(t, name) for t, name in self.places() if len(batch.features.get(t, {}).get(name, ()))]

    def rows(self, batch: MiniBatch) -> list[Tensor]:
        """Their rows [N, F], without gradients."""
        return [batch.features[node_type][name].detach() for node_type, name in self.of(batch)]

    def changed(self, batch: MiniBatch, changes: Sequence[Tensor]) -> MiniBatch:
        """The batch with changes [N, F] in the order of `of`."""
        features = {t: dict(by_name) for t, by_name in batch.features.items()}
        for (node_type, name), change in zip(self.of(batch), changes, strict=True):
            features[node_type][name] = self.moved(node_type, name, features[node_type][name], change)
        return batch.replace(features=features)

    def moved(self, node_type: NodeType, name: str, rows: Tensor, change: Tensor) -> Tensor:
        """rows + change * unit, [N, F] in float32."""
        unit = self.model.inputs.unit(node_type, name, rows.detach())
        return rows.float() + change * unit


def without_gradients(batch: MiniBatch) -> MiniBatch:
    """The batch with features that do not lead back to what computed them."""
    features: dict[NodeType, Mapping[str, Tensor | SparseRows[Tensor]]] = {}
    for node_type, by_name in batch.features.items():
        features[node_type] = {
            name: rows if isinstance(rows, SparseRows) else rows.detach() for name, rows in by_name.items()
        }
    return batch.replace(features=features)


@ATTACKS.register(PgdConfig)
class Pgd(Attack):
    """Projected gradient descent (Madry et al. 2018), with u(g) = g / |g| for l2 and sign(g) for linf:

    delta_0 random within epsilon, or 0;   delta <- P(delta + step u(g(delta))),  P: the nearest row within epsilon
    """

    config: PgdConfig

    def find(self, like: Sequence[Tensor], gradients: Gradients, draw: torch.Generator) -> Rows:
        """See Attack."""
        config = self.config
        changes = self._none(like)
        if config.random_start:
            changes = [random_rows(config.norm, rows, config.epsilon, draw) for rows in like]
        for _ in range(config.steps):
            pairs = zip(changes, gradients(changes), strict=True)
            moved = [change + config.step * steepest(config.norm, gradient) for change, gradient in pairs]
            changes = [within(config.norm, change, config.epsilon) for change in moved]
        return changes
