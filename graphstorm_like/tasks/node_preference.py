"""Classes of nodes from few labels and from soft scores, of which only differences within groups count.

loss of a step = preference_weight * mean over members of their group's mean pair loss + mean loss of labelled rows
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch import Tensor

from graphstorm_like.config.batch_size import BatchSize, rows_a_step
from graphstorm_like.config.tasks.node_preference import NodePreferenceConfig
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.schema import NO_LABEL
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.preference import IntraGroupPairwise
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.groups import GroupSeeder, GroupTargets
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice, SeedStream
from graphstorm_like.tasks.base import TASKS
from graphstorm_like.tasks.node_classification import NodeClassification

Scores = npt.NDArray[np.float32]


@TASKS.register(NodePreferenceConfig)
class NodePreference(NodeClassification):
    """See module. Everything but training is that of node classification."""

    def __init__(self, config: NodePreferenceConfig, graph: Graph, hidden: int) -> None:
        super().__init__(config, graph, hidden)  # type: ignore[arg-type]
        self.preference = config
        margin = None if config.margin == "adaptive" else float(config.margin)
        self._pairs = IntraGroupPairwise(margin, config.min_gap)
        self._columns, given = self._read_scores()
        self.scores = self._with_gold(given)
        self.members, self.starts, self.alone = self._groups()
        self._notes = [*self._describe(given)]
        if not len(self.starts) - 1 and not graph.only_scored:
            raise DataError(
                f"{graph.folder}: {config.node_type}: task.group_by must give groups of two nodes or more with scores "
                f"(got none by {config.group_by}). Look at the scores and at group_by"
            )

    def _read_scores(self) -> tuple[list[int], Scores]:
        """(the classes that have scores, scores [count, their number], NaN where a node has none)."""
        config, columns, found = self.preference, [], []
        for class_name, names in config.scores.items():
            if class_name not in self.target.classes:
                raise DataError(unknown("task.scores", "class", class_name, self.target.classes))
            of_prompts = [self.graph.label(config.node_type, name) for name in names]
            columns.append(list(self.target.classes).index(class_name))
            found.append(np.mean(np.stack(of_prompts), axis=0))
        return columns, np.stack(found, axis=1).astype(np.float32)

    def _with_gold(self, given: Scores) -> Scores:
        """Scores of nodes with a training label are that label."""
        scores, rows = given.copy(), self.rows("train")
        scores[rows] = self.labels[rows][:, None] == np.array(self._columns)[None, :]
        return scores

    def _groups(self) -> tuple[IntArray, IntArray, int]:
        """(members, starts [groups + 1], number of nodes alone in their group); see GroupSeeder. Nodes for validation
        and test take part like others: their labels are not read, only their scores."""
        nodes, groups = self._memberships()
        known = ~np.isnan(self.scores[nodes]).any(axis=1)
        nodes, groups = nodes[known], groups[known]
        order = np.lexsort((nodes, groups))
        nodes, groups = nodes[order], groups[order]
        _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        several = sizes[place] > 1
        starts = np.concatenate([[0], np.cumsum(sizes[sizes > 1])])
        return nodes[several], starts, int((~several).sum())

    def _memberships(self) -> tuple[IntArray, IntArray]:
        """(nodes, their groups), a line for each that a node is in."""
        config, node_type = self.preference, self.node_type
        if ":" not in config.group_by:
            groups = self.graph.label(node_type, config.group_by).astype(np.int64)
            nodes = np.flatnonzero(groups != NO_LABEL)
            return nodes, groups[nodes]
        source_type, relation, target_type = config.group_by.split(":")
        source, target = self.graph.edges((source_type, relation, target_type))
        both = (source, target) if node_type == source_type else (target, source)
        unique = np.unique(np.stack(both, axis=1), axis=0)
        return unique[:, 0], unique[:, 1]

    # ---------------------------------------------------------------------------------------------------- training

    def stream(self, batch_size: BatchSize, seed: int) -> SeedStream:
        """Of groups, as many a step as have about `batch_size` members."""
        sizes = np.minimum(np.diff(self.starts), self.preference.most_members)
        members = rows_a_step(batch_size, int(sizes.sum()))
        groups = max(1, int(members // max(sizes.mean(), 1.0)))
        return SeedStream(np.arange(len(sizes)), groups, seed)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> GroupSeeder:  # type: ignore[override]
        """See Task."""
        most, labelled = self.preference.most_members, self.rows("train")
        return GroupSeeder(
            self.node_type, self.members, self.starts, self.scores, self.labels, labelled, most, seed, share
        )

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task and module. The weight is the number of members."""
        targets = batch.targets
        assert isinstance(targets, GroupTargets)
        outputs = self.head(vectors[self.node_type]).float()
        probabilities = outputs[targets.members].softmax(dim=1)[:, self._columns]
        pairs = self._pairs(probabilities, targets.scores, targets.first, targets.second)
        total = self.preference.preference_weight * (pairs * targets.weights).sum()
        if len(targets.labelled):
            of_labels, weight = self.target.loss(outputs[targets.labelled], targets.labels)
            total = total + of_labels * (len(targets.labelled) / max(weight, 1e-12)) * targets.factor
        return total, float(len(targets.members))

    # ------------------------------------------------------------------------------------------------------- notes

    def notes(self) -> Iterator[str]:
        """See Task."""
        yield from super().notes()
        yield from self._notes

    def _describe(self, given: Scores) -> Iterator[str]:
        """Groups, and what the labels say about the scores: whether groups may help at all."""
        yield (
            f"{len(self.starts) - 1:,} groups with {len(self.members):,} nodes that have scores; {self.alone:,} nodes "
            f"alone in their group are left out"
        )
        rows = self.rows("train")
        rows = rows[~np.isnan(given[rows]).any(axis=1)]
        if not len(rows):
            return
        line = f"scores agree with {100 * self._agreement(given[rows], self.labels[rows]):.0f} % of the training labels"
        share = self._share_between_groups(given, rows)
        if share is not None:
            line += f"; {100 * share:.0f} % of their error is common to a group, which comparisons within it remove"
        yield line

    def _agreement(self, given: Scores, labels: IntArray) -> float:
        """The part of labels [n] that is the class of the highest score; of one class alone, on the score's side."""
        columns = np.array(self._columns)
        if len(columns) == 1:
            return float(((given[:, 0] > 0.5) == (labels == columns[0])).mean())
        return float((columns[given.argmax(axis=1)] == labels).mean())

    def _share_between_groups(self, given: Scores, rows: IntArray) -> float | None:
        """Of the variance of scores minus labels of labelled nodes, what lies between groups with two of them or more:
        the one-way estimate, which is 0 on average where errors are independent."""
        groups = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        mine = np.isin(self.members, rows)
        groups, nodes = groups[mine], self.members[mine]
        sizes = np.bincount(groups, minlength=len(self.starts) - 1)
        several = sizes[groups] > 1
        if not several.any():
            return None
        groups, nodes = np.unique(groups[several], return_inverse=True)[1], nodes[several]
        errors = given[nodes] - (self.labels[nodes][:, None] == np.array(self._columns)[None, :])
        return between_groups(errors, groups)


def between_groups(values: npt.NDArray[np.floating], groups: IntArray) -> float:
    """The part of the variance of values [n, C] that lies between groups [n], by the one-way random effects model:
    (MSB - MSW) / (MSB + (k - 1) MSW), k the mean size of a group; at least 0."""
    counts = np.bincount(groups)
    means = np.stack([np.bincount(groups, column) / counts for column in values.T], axis=1)
    within = ((values - means[groups]) ** 2).sum() / max(len(values) - len(counts), 1)
    between = (counts[:, None] * (means - values.mean(axis=0)) ** 2).sum() / max(len(counts) - 1, 1)
    size = len(values) / len(counts)
    return float(max(0.0, (between - within) / max(between + (size - 1.0) * within, 1e-12)))
