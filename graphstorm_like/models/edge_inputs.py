"""Edge inputs -> what they add to messages: U_r x_e, where x_e are the features and text vectors of edge e.

A batch holds one row per edge [E, F], not the means [M, F] over the edges of each target: attention weighs every edge
separately, and so one form of batch serves all networks. A mean over edges is taken before U_r, which is linear, so
that only M rows are multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.time_encodings import TimeEncodingConfig
from graphstorm_like.graph.store import Relation
from graphstorm_like.models.aggregate import TINY, WEIGHT, edge_shares, segment_means, segment_sums, segment_totals
from graphstorm_like.models.inputs import FloatArray, InputProjection
from graphstorm_like.models.time_encodings import TIME_ENCODINGS
from graphstorm_like.sampling.clock import AGE


@dataclass(frozen=True, slots=True)
class EdgeInputSpec:
    """The inputs of one edge type: widths by name; moments as in NodeInputSpec; time: how the edges' ages are encoded,
    where they are an input too."""

    widths: Mapping[str, int]
    moments: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    time: TimeEncodingConfig | None = None


NO_EDGE_INPUTS: Mapping[EdgeType, EdgeInputSpec] = MappingProxyType({})


class EdgeInputs(nn.Module):
    """U_r of one layer, for the edge types that have inputs."""

    def __init__(self, specs: Mapping[EdgeType, EdgeInputSpec], hidden: int) -> None:
        super().__init__()
        self.names = {t: sorted(spec.widths) for t, spec in specs.items()}
        self.index = {t: i for i, t in enumerate(specs)}
        self.types = nn.ModuleList()
        self.times = nn.ModuleDict()
        for edge_type, spec in specs.items():
            widths = dict(spec.widths)
            if spec.time is not None:
                self.times[str(self.index[edge_type])] = TIME_ENCODINGS.of(spec.time)(spec.time)
                widths[AGE] = spec.time.width
                self.names[edge_type] = [*self.names[edge_type], AGE]
            names = self.names[edge_type]
            self.types.append(
                nn.ModuleList(InputProjection(widths[name], hidden, spec.moments.get(name)) for name in names)
            )

    def rows(self, edge_type: EdgeType, relation: Relation) -> dict[str, Tensor]:
        """Inputs [E, F] of the edges of a type by name, with their encoded ages where these are inputs."""
        rows = {name: relation.inputs[name] for name in self.names[edge_type] if name != AGE}
        if AGE in self.names[edge_type]:
            assert isinstance(relation.ages, Tensor), "samples of temporal models have them"
            rows[AGE] = self.times[str(self.index[edge_type])](relation.ages)
        return rows

    def each(self, edge_type: EdgeType, relation: Relation) -> Tensor | None:
        """U_r x_e of each edge [E, hidden]; None for a type without inputs."""
        return self._project(edge_type, self.rows(edge_type, relation)) if edge_type in self.index else None

    def add_means(self, messages: Tensor, edge_type: EdgeType, relation: Relation) -> Tensor:
        """messages [M, hidden] plus the mean of U_r x_e over the edges of each row, weighed if they have weights."""
        if edge_type not in self.index:
            return messages
        if WEIGHT in relation.inputs:
            return self.add_sums(messages, edge_type, relation, edge_shares(relation))
        rows = self.rows(edge_type, relation)
        means = {n: segment_means(of_edges, relation.offsets) for n, of_edges in rows.items()}
        return messages + self._project(edge_type, means)

    def add_sums(self, messages: Tensor, edge_type: EdgeType, relation: Relation, factors: Tensor) -> Tensor:
        """messages [M, hidden] plus the sum of factor * U_r x_e over the edges of each row; factors [E]."""
        if edge_type not in self.index:
            return messages
        # As a mean and its weight: only of a mean is the shift of standardised inputs the shift of one edge.
        totals = segment_totals(factors, relation.offsets)
        shares = factors / totals.clamp(min=TINY).repeat_interleave(relation.offsets.diff())
        rows = self.rows(edge_type, relation)
        means = {n: segment_sums(of_edges, relation.offsets, shares) for n, of_edges in rows.items()}
        return messages + self._project(edge_type, means) * totals[:, None].to(messages.dtype)

    def _project(self, edge_type: EdgeType, rows: Mapping[str, Tensor]) -> Tensor:
        projections = self.types[self.index[edge_type]]
        assert isinstance(projections, nn.ModuleList)
        named = zip(self.names[edge_type], projections, strict=True)
        projected = [projection(rows[name]) for name, projection in named]
        total: Tensor = sum(projected[1:], projected[0])
        return total
