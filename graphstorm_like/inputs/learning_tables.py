"""Tables of text vectors whose language model is in training, and how they enter a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.graph.store import Block, RowType
from graphstorm_like.inputs.learning_text import AgingVectors, FreshVectors, ReorderedVectors, VectorTable
from graphstorm_like.inputs.trained_texts import TextPass, replace_rows
from graphstorm_like.pending import Pending
from graphstorm_like.sampling.batch import Messages, MiniBatch, TextPlace, TrainedTexts

Tables = Mapping[TextPlace, Mapping[str, VectorTable]]
"""By place and input name."""
Reading = Pending[npt.NDArray[np.floating[Any]]]
"""Rows [N, D] that are being read."""


@dataclass(frozen=True)
class LearningTables:
    """All tables of a learner. device: the device of its batches."""

    by_place: Tables
    device: torch.device

    def each_once(self) -> list[FreshVectors | AgingVectors]:
        """Every table once, even if several places read it, or read it under other ids."""
        tables = [table for by_name in self.by_place.values() for table in by_name.values()]
        return list(dict.fromkeys(t.table if isinstance(t, ReorderedVectors) else t for t in tables))

    def aging(self) -> list[AgingVectors]:
        """The AgingVectors among the tables."""
        return [table for table in self.each_once() if isinstance(table, AgingVectors)]

    def put_into(self, batch: MiniBatch, texts: TextPass) -> MiniBatch:
        """The batch with text vectors among its inputs: newly computed for trained texts, from the tables for
        others."""
        features = {t: dict(by_name) for t, by_name in batch.features.items()}
        targets, messages = batch.targets, {}
        # All reads start before the first wait: rows on other hosts come in one answer per host.
        pending = {p: self._begin(p, ids, batch) for p in self.by_place if (ids := batch.rows(p)) is not None}
        pending_messages = [self._begin_messages(block, batch) for block in batch.blocks[:-1]]
        for place, by_name in pending.items():
            vectors = {name: self._vectors(place, name, batch, rows.wait(), texts) for name, rows in by_name.items()}
            if isinstance(place, str):
                features.setdefault(place, {}).update(vectors)
            elif isinstance(place, Messages):
                messages[place.edge_type] = vectors
            elif targets is not None:
                targets = targets.with_inputs(place, vectors)
        inputs_by_block = []
        for by_type in pending_messages:
            inputs_by_block.append({t: self._read(by_name) for t, by_name in by_type.items()})
        inputs_by_block.append(messages)
        blocks = [with_inputs(block, inputs) for block, inputs in zip(batch.blocks, inputs_by_block, strict=False)]
        return batch.replace(features=features, targets=targets, blocks=tuple(blocks))

    def _tensor(self, rows: npt.NDArray[np.floating[Any]]) -> Tensor:
        return torch.from_numpy(rows).to(self.device)

    def _read(self, by_name: Mapping[str, Reading]) -> dict[str, Tensor]:
        return {name: self._tensor(rows.wait()) for name, rows in by_name.items()}

    def _begin(self, place: TextPlace, rows: Tensor, batch: MiniBatch) -> dict[str, Reading]:
        """Start to read vectors of some nodes or edges [N] from the tables of a place. Nothing is read where all are
        trained."""
        ids, trained = rows.cpu().numpy(), batch.texts.get(place, {})

        def begin(table: VectorTable, texts: TrainedTexts | None) -> Reading:
            if texts is not None and len(texts.at) == len(ids):
                return Pending(partial(np.zeros, (len(ids), table.width), np.float16))
            return table.begin_rows(ids)

        return {name: begin(table, trained.get(name)) for name, table in self.by_place[place].items()}

    def _begin_messages(self, block: Block, batch: MiniBatch) -> dict[EdgeType, dict[str, Reading]]:
        """Start to read the text vectors of a block's edges, none of which are trained."""
        relations = {Messages(t): r for t, r in block.relations.items() if Messages(t) in self.by_place}
        untrained = batch.replace(texts={})
        return {p.edge_type: self._begin(p, r.edge_ids, untrained) for p, r in relations.items()}

    def _vectors(
        self, place: TextPlace, name: str, batch: MiniBatch, old: npt.NDArray[np.floating[Any]], texts: TextPass
    ) -> Tensor:
        """[N, D] vectors of nodes or edges: as read from the table, except that vectors of trained texts are computed
        with gradients, and written to the table."""
        trained, table = batch.texts.get(place, {}).get(name), self.by_place[place][name]
        if trained is None or not len(trained.at):
            return self._tensor(old)
        distinct, vectors = texts.vectors(place, trained)
        if texts.keeps and not isinstance(table, FreshVectors):
            table.put(trained.unique.cpu().numpy(), distinct)
        return replace_rows(self._tensor(old), trained.at, vectors)


def input_place(row_type: RowType) -> TextPlace:
    """The place of a type's texts as inputs of the graph network."""
    return row_type if isinstance(row_type, str) else Messages(row_type)


def with_inputs(block: Block, inputs: Mapping[EdgeType, Mapping[str, Tensor]]) -> Block:
    """The block with more edge inputs."""
    changed = {t: replace(r, inputs={**r.inputs, **inputs.get(t, {})}) for t, r in block.relations.items()}
    return replace(block, relations=changed)
