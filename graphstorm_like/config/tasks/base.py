"""What is known of every task before a graph is opened. A task overrides what differs for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from graphstorm_like.config.base import EdgeType, EdgeTypeField, Name, Strict, edge_name
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.graph import EdgeConfig, GraphConfig
from graphstorm_like.config.problems import Problem, check_input_names, ends_known, unknown_name


class ScoredEdgeInputs(Strict):
    """What the head reads of the edges themselves; default: all their features and texts.

    Neither the label nor anything that gives it away may be among them.
    """

    features: list[Name] | None = None
    """Features that the head reads; default: all."""
    text: list[Name] | None = None
    """Texts that the head reads; default: all."""


def check_scored_inputs(inputs: ScoredEdgeInputs, edge: EdgeConfig) -> Iterator[Problem]:
    """`inputs` must name what the edges have; paths begin at the task."""
    yield from check_input_names(("inputs",), inputs, edge)
    features = edge.features if inputs.features is None else inputs.features
    text = edge.text if inputs.text is None else inputs.text
    if not features and not text:
        name = edge_name(edge.edge_type)
        yield ("inputs",), f"must name a feature or a text of '{name}' (got none). Or leave task.inputs out"


def check_edge_weight(feature: str | None, graph: GraphConfig, edge_types: Sequence[EdgeType]) -> Iterator[Problem]:
    """`edge_weight` must be a feature of one of the relations at least; paths begin at the task."""
    features: dict[str, None] = {}
    for edge in graph.edges:
        features |= dict.fromkeys(edge.features if edge.edge_type in edge_types else ())
    known = [edge.edge_type for edge in graph.edges if edge.edge_type in edge_types]
    if feature is not None and known and ends_known(graph) and feature not in features:
        yield ("edge_weight",), unknown_name("feature of the edges of the task", feature, features)


def check_selected_part(
    select_by: str, graph: GraphConfig, relations: Sequence[EdgeType], means: Sequence[str] = ()
) -> Iterator[Problem]:
    """What stands behind the slash of `select_by` must be a relation of the task, or one of its means; paths begin at
    the task."""
    part, names = select_by.partition("/")[2], [*means, *map(edge_name, relations)]
    if part and ends_known(graph) and part not in names:
        yield ("select_by",), unknown_name("relation of the task", part, names)


class TaskConfig(Choice, tag="type"):
    """What is predicted, how it is scored, and which number selects the model.

    Edge types are those of the graph without reverses: an argument `edge_types` lists them all, `has_split` tells
    for each whether its edges have a split.
    """

    type: str

    classifies_nodes: ClassVar[bool] = False
    """Whether it predicts classes of the nodes of one type, so that pseudo labels are possible."""
    ranks_links: ClassVar[bool] = False
    """Whether it ranks the targets of links among candidates."""
    may_be_joined: ClassVar[bool] = True
    """Whether it may be one of several tasks at once."""

    @property
    def scores_parts(self) -> bool:
        """Whether metrics come for parts of the rows too, so that one of a part may select: 'mrr/<part>'."""
        return False

    @property
    def row_type(self) -> str | EdgeType | None:
        """The node or edge type whose rows are the training examples; None: there are several types."""
        return None

    def labels(self) -> dict[str | EdgeType, list[str]]:
        """Names of the labels that it reads, by node or edge type. Default: `label`, if it has one."""
        label = getattr(self, "label", None)
        return {self.row_type: [label]} if isinstance(label, str) and self.row_type is not None else {}

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """Edge types that the task is about; default: none."""
        return ()

    @property
    def read_edges(self) -> tuple[EdgeType, ...]:
        """Edge types that it reads to know what belongs together, without learning them. Default: none."""
        return ()

    def ranked_relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """Relations whose targets are ranked: edge types, and inverses of them (`config.inverses`). Default: those that
        the task is about."""
        return self.relations(edge_types)

    @property
    def ranks_given(self) -> bool:
        """Whether it ranks the targets of links among the candidates that the table gives each edge."""
        return False

    @property
    def reads_pairs(self) -> bool:
        """Whether scores also read the graph between two nodes, which no vector and no index of vectors holds."""
        return False

    @property
    def reads_all_relations(self) -> bool:
        """Whether scores follow edges of all relations of the graph, whatever the model reads."""
        return False

    @property
    def compared_texts(self) -> tuple[str, ...]:
        """Node types whose texts scores compare, all of them, whatever the model reads. Default: none."""
        return ()

    @property
    def reads_linked_edges(self) -> bool:
        """Whether scores of links also read the edge between two nodes, so that only edges have a score."""
        return False

    @property
    def asks_relations(self) -> bool:
        """Whether questions to it name a relation: triples, of which one end may be sought."""
        return False

    def node_types(self, edge_types: Sequence[EdgeType]) -> tuple[str, ...]:
        """Node types whose vectors the task reads; default: both ends of its relations."""
        ends: dict[str, None] = {}
        for source, _, target in self.relations(edge_types):
            ends |= dict.fromkeys((source, target))
        return tuple(ends)

    def hidden_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """Edge types whose validation and test edges are excluded from message passing, with the label whose split says
        which those are; None: the split of the edges themselves. Default: no edge types."""
        return {}

    def learnt_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """Edge types whose own rows it learns and scores, with the label as in `hidden_edges`: the same edge types, and
        those that pass messages all the same."""
        return self.hidden_edges(has_split)

    def held_out_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, int]:
        """Edge types of which some edges are held out for validation, and at most how many. Default: no edge types."""
        return {}

    @property
    def goes_in_order(self) -> bool:
        """Whether training rows come in an order of their own, so that no other task can be learnt beside it."""
        return False

    @property
    def shows_past(self) -> bool:
        """Whether rows to be scored pass messages to what is later than they are. Default: no."""
        return False

    def check_own_times(self, predicts: bool) -> Iterator[Problem]:
        """What is in the way of rows that have points in time of their own (`model.time.at: own`); whole paths.
        predicts: whether predictions are written. Default: nothing."""
        return iter(())

    def weighed(self, edge_types: Sequence[EdgeType]) -> list[tuple[str, tuple[EdgeType, ...]]]:
        """Features of edges that weigh true links in the loss, each with the relations that are learnt. Default:
        none."""
        return []

    def sought_features(self) -> dict[EdgeType, list[str] | None]:
        """Features of edges that it learns to find, by edge type; None: all of the type. Default: of no type."""
        return {}

    def to_apply(self) -> TaskConfig:
        """The same without what only training reads of a graph."""
        return self

    def scored_inputs(self) -> tuple[EdgeType, ScoredEdgeInputs] | None:
        """Edge type and inputs of scored edges that the head reads; None: it reads none."""
        return None

    def reads_edge_text(self, graph: GraphConfig) -> bool:
        """Whether the head reads a text of the edges that it scores."""
        scored = self.scored_inputs()
        if scored is None or scored[1].text == []:
            return False
        return any(edge.text for edge in graph.edges if edge.edge_type == scored[0])

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """Problems of the task with this graph; paths begin at the task. Default: none."""
        return iter(())

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """The same, of a training that validates. Default: none."""
        return iter(())


class OneRelationTask(TaskConfig):
    """A task about the edges of one type."""

    edge_type: EdgeTypeField
    """The edge type that the task is about, 'source:relation:target'; one of graph.edges."""

    @property
    def row_type(self) -> EdgeType:
        """See TaskConfig."""
        return self.edge_type

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return (self.edge_type,)
