"""Which inputs of a batch an attack changes, and the batch with changes of them.

A change [N, F] of an input is in units of that input (see InputEncoder.unit): x' = x + change * unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.graph.store import NodeType
from graphstorm_like.modality import TEXT, input_name
from graphstorm_like.models.lm_gnn import LmGnn
from graphstorm_like.sampling.batch import MiniBatch

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
