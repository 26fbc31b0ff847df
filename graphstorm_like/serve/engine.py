"""Answers about known nodes, and about new nodes that come with a request, next to a graph that stays as it is.

New rows are encoded with the model's state and laid over the graph in memory (`graph.overlay`), so that a request costs
its neighbourhood, not the graph. The numbers are those of `gsl apply --attach`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gconstruct.encode_rows import EncodedRows, encode_rows, needed_columns
from gconstruct.held import SCHEME, hold
from gconstruct.tables.needs import Need
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.load import build_graph_config
from graphstorm_like.config.temporal_checks import inputs_of_all_edges
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.deploy.applied import Applied
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.tables import NewTables, Tables, given_tables
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import read_object
from graphstorm_like.graph.overlay import Ends, Overlay
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.sample import BatchPositions
from graphstorm_like.graph.schema import feature_column, image_column, text_column
from graphstorm_like.graph.sparse import rows_of
from graphstorm_like.graph.store import IntArray, NodeType, RowType, type_name
from graphstorm_like.inputs.edge_facts import EdgeDegrees, EdgeWeights
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.modality import IMAGE, TEXT, input_name
from graphstorm_like.models.embedding import Embedder, Vectors, all_but_unused
from graphstorm_like.ranks.tables import RowTable
from graphstorm_like.serve.lookup import IdLookup
from graphstorm_like.serve.sources import Rows, with_new_rows
from graphstorm_like.tasks import EdgeLabelTask, MultiTask

ROOM = 1 << 16
"""New nodes of a type in one request, at most."""
BATCH_ROWS = 512
"""Nodes whose neighbourhoods are in memory at once."""

T = TypeVar("T")


def attempt(work: Callable[[], T]) -> T | BaseException:
    """Return what `work` returns, or whatever it raises, so that one question cannot end the answers to others. Panics
    of Rust libraries (tokenizers) are no Exceptions, and are caught too."""
    try:
        return work()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as err:
        return err


@dataclass(frozen=True)
class NewRows:
    """What a request brings. ids: of the new nodes, by type; overlay, sources: the graph and the inputs with them."""

    ids: Mapping[NodeType, pa.Array]
    overlay: Overlay
    sources: Mapping[RowType, Mapping[str, Any]]
    scored: Mapping[str, Any]
    """Inputs of the edges that the task predicts, by name."""

    @contextmanager
    def scored_inputs(self, task: EdgeLabelTask) -> Iterator[None]:
        """For predictions of new edges: the task reads their own inputs."""
        known = task.scored_sources
        task.scored_sources = self.scored
        try:
            yield
        finally:
            task.scored_sources = known

    def names(self, node_type: NodeType) -> list[Any]:
        """Ids of the new nodes of a type, whole numbers where the graph's are."""
        ids = self.ids.get(node_type, pa.array([], pa.large_string()))
        is_number = self.overlay.manifest.node(node_type).id_type == "int64"
        names: list[Any] = (ids.cast(pa.int64()) if is_number else ids).to_pylist()
        return names

    def first(self, node_type: NodeType) -> int:
        """The position of the first new node of a type."""
        return self.count(node_type) - len(self.ids.get(node_type, ()))

    def count(self, node_type: NodeType) -> int:
        """Number of nodes of a type, known and new."""
        return self.overlay.manifest.node(node_type).count


class _GraphWithNew:
    """A graph whose ids of nodes and ends of edges include those of a request: what tables of predictions read."""

    def __init__(self, graph: Any, new: NewRows) -> None:
        self._graph, self._new = graph, new

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def ids_of(self, node_type: NodeType, ids: IntArray) -> pa.Array:
        """Return the user's ids of nodes by their positions, those of the request after those of the graph."""
        first, of_new = self._new.first(node_type), self._new.names(node_type)
        known = iter(self._graph.ids_of(node_type, ids[ids < first]).to_pylist())
        return pa.array([next(known) if at < first else of_new[at - first] for at in ids.tolist()])

    def edges(self, edge_type: EdgeType, edge_ids: IntArray | None = None) -> Ends:
        """Return the positions of sources and of targets [n] of edges by their numbers; None: of the graph's own."""
        if edge_ids is None:
            every: Ends = self._graph.edges(edge_type)
            return every
        first = self._graph.manifest.edge(edge_type).count
        is_new = edge_ids >= first
        ends = []
        known = self._graph.edges(edge_type, edge_ids[~is_new])
        for of_known, of_new in zip(known, self._new.overlay.new_edges(edge_type), strict=True):
            end = np.empty(len(edge_ids), dtype=np.int64)
            end[~is_new], end[is_new] = of_known, of_new[edge_ids[is_new] - first]
            ends.append(end)
        return ends[0], ends[1]


@contextmanager
def seeing_new_rows(task: Any, new: NewRows) -> Iterator[None]:
    """While it is entered, the graph of a task names the rows of a request too. ConfigError for a task that keeps its
    graph elsewhere than in `graph`."""
    if not hasattr(task, "graph"):
        raise ConfigError("nodes, edges: must be left out: the model's task names known rows alone. Use gsl apply")
    known = task.graph
    task.graph = _GraphWithNew(known, new)
    try:
        yield
    finally:
        task.graph = known


@dataclass(frozen=True)
class _Parsed:
    """A request whose tables are encoded, but for their texts. ends: of all new edges, reverses included."""

    encoded: EncodedRows
    ids: Mapping[NodeType, pa.Array]
    ends: Mapping[EdgeType, Ends]

    def columns(self) -> dict[RowType, Mapping[str, Any]]:
        """The columns of each type, by their name in a graph folder."""
        columns: dict[RowType, Mapping[str, Any]] = {}
        for name, nodes in self.encoded.nodes.items():
            columns[name] = nodes.columns
        for edge_type, edges in self.encoded.edges.items():
            columns[edge_type] = edges.columns
        return columns


class Engine:
    """A model over an open graph. max_neighbours: of a node by each edge type; None: all, which gives exact numbers.
    unknown: see `Model.open`."""

    def __init__(self, model: Model, applied: Applied, *, unknown: str, max_neighbours: int | None = None) -> None:
        self.model, self.applied, self._unknown = model, applied, unknown
        self.is_exact = max_neighbours is None
        experiment = applied.experiment
        if experiment.pipeline.task.reads_pairs:
            raise ConfigError(
                "task.pairs: must be left out of a model that is served: answers do not read the graph between two "
                "nodes. Its predictions come from gsl infer and gsl apply"
            )
        if experiment.pipeline.task.reads_linked_edges:
            raise ConfigError(
                "task.inputs: must be left out of a model of links that is served: answers do not read the edge "
                "between two nodes. Its predictions come from gsl infer and gsl apply"
            )
        graph = applied.graph
        assert isinstance(graph, PartitionedGraph)
        self.graph, self.task = graph, experiment.task
        self.clock = self.task.clock
        tasks = self.task.tasks if isinstance(self.task, MultiTask) else [self.task]
        self.reader = next((t for t in tasks if isinstance(t, EdgeLabelTask) and t.scored_sources), None)
        """The task that reads inputs of the edges that it predicts"""
        self._packed = (read_object(model.folder.path / "pipeline.json") or {})["graph"]
        self.needs = self._needed_columns()
        """The columns that new rows must have, by 'nodes.TYPE' or 'edges.SOURCE:RELATION:TARGET'"""
        trained_on = model.folder.facts["trained_on"]
        self._trained_on = {*trained_on["nodes"], *trained_on["edges"]}
        counts = {name: node.count for name, node in graph.manifest.nodes.items()}
        self._numbering = BatchPositions({name: count + ROOM for name, count in counts.items()})
        self._counts: dict[RowType, int] = {}
        self._counts.update(counts)
        self._counts.update({edge.edge_type: edge.count for edge in graph.manifest.edges})
        self._lookups: dict[NodeType, IdLookup] = {}
        self._hidden: dict[EdgeType, IntArray] = {}
        """By type, target * sources + source of the edges that pass no messages"""
        fanouts = [all_but_unused(fanout) for fanout in experiment.pipeline.train.fanouts]
        self._fanouts = fanouts if max_neighbours is None else [_limited(f, max_neighbours) for f in fanouts]
        if self.clock is not None:  # which neighbours of the past are sampled is a part of the model
            self._fanouts = list(applied.embedder().fanouts)
        self._of_all_edges = list(inputs_of_all_edges(model.pipeline.graph, model.pipeline.model))

    # -- ids -----------------------------------------------------------------------------------------------------

    def positions(self, node_type: NodeType, ids: Sequence[Any], where: str) -> IntArray:
        """Positions [n] of known nodes. DataError names those that there are not."""
        found = self._known(node_type, _strings(ids, where))
        missing = [str(name) for name, at in zip(ids, found, strict=True) if at < 0]
        if missing:
            more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
            raise DataError(
                f"{where}: ids must be of known nodes of type {node_type} (got {', '.join(missing[:5])}{more}). Send "
                f"new nodes with their columns"
            )
        return found

    def _known(self, node_type: NodeType, ids: pa.Array) -> IntArray:
        if node_type not in self._lookups:
            self._lookups[node_type] = IdLookup(self.graph, node_type)
        return self._lookups[node_type].positions(ids)

    # -- vectors -------------------------------------------------------------------------------------------------

    def vectors(
        self, node_type: NodeType, positions: IntArray, new: NewRows | None = None, time: str | float | None = None
    ) -> Vectors:
        """[n, D] of nodes by their positions, which need not be distinct. time: as of which, for temporal models."""
        if time is not None:
            self._check_time(time)
        distinct, back = np.unique(positions, return_inverse=True)
        embedder = self.applied.embedder()
        if new is not None:
            embedder = replace(embedder, graph=new.overlay, sources=new.sources)
        embedder = replace(embedder, batch_size=min(embedder.batch_size, BATCH_ROWS), progress=None)
        found: Vectors = self._embed(embedder, node_type, distinct, time)[back]
        return found

    def _check_time(self, time: str | float) -> None:
        """Of a question, which must see nothing later."""
        if self.clock is None:
            raise ConfigError(f"time: must be left out: the model has no model.time (got {time!r})")
        if self._of_all_edges:
            node_type, feature, encode = self._of_all_edges[0]
            raise ConfigError(
                f"time: must be left out: the model reads graph.nodes.{node_type}.features.{feature}, and {encode} "
                f"counts edges of the future too (got {time!r}). Train and pack a model whose "
                f"model.inputs.{node_type}.features names the others"
            )

    def _embed(
        self, embedder: Embedder, node_type: NodeType, positions: IntArray, time: str | float | None = None
    ) -> Vectors:
        times = None
        if time is not None and self.clock is not None:
            times = np.full(len(positions), self.clock.bound(time), dtype=self.clock.dtype)
        return embedder.mini_batch(node_type, positions, self._fanouts, self.applied.experiment.pipeline.seed, times)

    @property
    def layers(self) -> int:
        """Of the model: how far away a node may be that its vector depends on."""
        return len(self._fanouts)

    def neighbours(self, node_type: NodeType, position: int) -> dict[EdgeType, IntArray]:
        """Positions of a known node's neighbours by edge type, in the message graph."""
        everything = [FanoutByType(default=-1)]
        sampled = self.graph.sample({node_type: np.array([position])}, everything, np.random.default_rng(0))
        found: dict[EdgeType, IntArray] = {}
        for edge_type, relation in sampled.blocks[0].relations.items():
            found[edge_type] = sampled.input_ids[edge_type[0]][relation.sources]
        return found

    # -- new rows ------------------------------------------------------------------------------------------------

    def lay_over(self, tables: Tables, where: str = "request") -> NewRows:
        """Encode the new nodes and edges of a request. Raises ConfigError and DataError with what is wrong."""
        (laid_over,) = self.lay_over_all([tables], where)
        if isinstance(laid_over, BaseException):
            raise laid_over
        return laid_over

    def lay_over_all(self, requests: Sequence[Tables], where: str = "request") -> list[NewRows | BaseException]:
        """The same of several requests, each for itself, but with the texts of all encoded together, which is several
        times faster. In place of a request that cannot be encoded stands what was raised."""
        parsed = [attempt(partial(self._parse, tables, where)) for tables in requests]
        good = [one for one in parsed if isinstance(one, _Parsed)]
        together = attempt(partial(self._text_vectors, good))
        laid_over: list[NewRows | BaseException] = []
        for one in parsed:
            if isinstance(one, BaseException):
                laid_over.append(one)
                continue
            # When the texts of all could not be encoded, each request is tried alone: only the guilty one fails.
            vectors = attempt(partial(self._text_vectors, [one])) if isinstance(together, BaseException) else together
            if isinstance(vectors, BaseException):
                laid_over.append(vectors)
            else:
                laid_over.append(attempt(partial(self._new_rows, one, next(vectors), where)))
        return laid_over

    def check_takes_rows(self, where: str = "request") -> None:
        """ConfigError where the model can say nothing of new rows."""
        if self.clock is not None:
            raise ConfigError(
                f"{where}: nodes, edges: must be left out with a model of model.time, which samples the past of a "
                f"graph folder. Make one with the new rows (gsl construct with graph.like), and serve that"
            )

    def _parse(self, tables: Tables, where: str) -> _Parsed:
        self.check_takes_rows(where)
        encoded = self._encode(tables, where)
        ids = {name: _strings(nodes.ids, where) for name, nodes in encoded.nodes.items()}
        for name, of_type in ids.items():
            self._check_new(name, of_type, where)
        return _Parsed(encoded, ids, self._ends(encoded, ids, where))

    def _text_vectors(self, requests: Sequence[_Parsed]) -> Iterator[dict[tuple[RowType, str], Rows]]:
        """Vectors of all texts of each request, by type and name; those that share an encoder are encoded together."""
        texts: dict[str, list[tuple[int, RowType, str, pa.Array]]] = {}
        for number, request in enumerate(requests):
            for row_type, columns in request.columns().items():
                for name in self._sources_of(row_type):
                    short = name.partition(":")[2]
                    if name == input_name(TEXT, short) and text_column(short) in columns:
                        key = self.model.pipeline.model.encoder_key(row_type)
                        texts.setdefault(key, []).append((number, row_type, short, columns[text_column(short)]))
        by_request: list[dict[tuple[RowType, str], Rows]] = [{} for _ in requests]
        for of_encoder in texts.values():
            encoder = self.model.text_encoder(of_encoder[0][1], self.applied.experiment.device)
            vectors = encoder.vectors(pa.concat_arrays([column for *_, column in of_encoder]))
            start = 0
            for number, row_type, short, column in of_encoder:
                by_request[number][row_type, short] = vectors[start : start + len(column)]
                start += len(column)
        return iter(by_request)

    def load_text_encoders(self) -> None:
        """Load the language models, and encode a text with each: else the first question would wait for that."""
        row_types: list[RowType] = list(self.applied.experiment.sources)
        if self.reader is not None:
            row_types.append(self.reader.edge_type)
        for row_type in row_types:
            if any(name.startswith(input_name(TEXT, "")) for name in self._sources_of(row_type)):
                encoder = self.model.text_encoder(row_type, self.applied.experiment.device)
                encoder.vectors(pa.array(["first"], pa.large_string()))

    def _new_rows(self, request: _Parsed, texts: Mapping[tuple[RowType, str], Rows], where: str) -> NewRows:
        counts = {name: len(of_type) for name, of_type in request.ids.items()}
        overlay = Overlay(self.graph, counts, request.ends, self._numbering, self._passing(request.ends))
        new: dict[RowType, dict[str, Rows]] = {}
        for name, nodes in request.encoded.nodes.items():
            new[name] = self._inputs(name, nodes.columns, texts, len(nodes.ids), where)
        for edge_type, edges in request.encoded.edges.items():
            inputs = self._inputs(edge_type, edges.columns, texts, len(edges.sources), where)
            reverse = self.graph.manifest.edge(edge_type).reverse
            new |= {each: inputs for each in (edge_type, reverse) if each is not None}
        sources = with_new_rows(self.applied.experiment.sources, self._counts, new)
        scored: dict[str, Any] = {}
        if self.reader is not None and self.reader.edge_type in new:
            of_task = {self.reader.edge_type: self.reader.scored_sources}
            scored = with_new_rows(of_task, self._counts, new)[self.reader.edge_type]
        return NewRows(request.ids, overlay, sources, scored)

    def _passing(self, ends: Mapping[EdgeType, Ends]) -> dict[EdgeType, npt.NDArray[np.bool_]]:
        """Which new edges [n] pass messages: all but those beside an edge that the graph hides, as in a graph that
        holds both."""
        passing: dict[EdgeType, npt.NDArray[np.bool_]] = {}
        for edge_type, (sources, targets) in ends.items():
            count = self._counts[edge_type[0]]
            if edge_type not in self._hidden:
                of_source, of_target = self.graph.edges(edge_type, self.graph.hidden_rows(edge_type))
                self._hidden[edge_type] = np.unique(of_target * count + of_source)
            beside = np.isin(targets * count + sources, self._hidden[edge_type])
            passing[edge_type] = ~(beside & (sources < count))
        return passing

    def _sources_of(self, row_type: RowType) -> dict[str, Any]:
        """All inputs of a type, those of scored edges included."""
        sources: dict[str, Any] = dict(self.applied.experiment.sources.get(row_type, {}))
        if self.reader is not None and row_type == self.reader.edge_type:
            sources |= self.reader.scored_sources
        return sources

    def _needed_columns(self) -> dict[str, list[Need]]:
        """Return the columns that new rows of each table must have, by the model's own configuration."""
        config = self._graph_config(self._packed["nodes"], self._packed["edges"], str(self.model.folder.path), "model")
        return needed_columns(config)

    def _graph_config(self, nodes: Any, edges: Any, base: str, where: str) -> GraphConfig:
        """Tables like those of the model's graph."""
        data = {
            "like": str(self.model.folder.graph),
            "path": str(self.model.folder.path / "request"),  # nothing is written
            "base": base,
            "nodes": nodes,
            "edges": edges,
        }
        return build_graph_config(data, where)

    def _encode(self, tables: Tables, where: str) -> EncodedRows:
        given = given_tables(tables, self._packed, self._trained_on, where)
        refuse_files(given, where)
        ends: dict[str, Any] = {edge[end]: {} for edge in given.edges for end in ("source", "target")}
        nodes = {**ends, **{name: node for name, node in given.nodes.items() if node.get("files")}}
        with hold(given.held):
            return encode_rows(self._graph_config(nodes, given.edges, given.base, where))

    def _check_new(self, node_type: NodeType, ids: pa.Array, where: str) -> None:
        if len(ids) > ROOM:
            raise DataError(f"{where}: nodes.{node_type}: must be at most {ROOM:,} rows (got {len(ids):,})")
        if len(ids.unique()) != len(ids):
            raise DataError(f"{where}: nodes.{node_type}: ids must be distinct")
        known = ids.filter(pa.array(self._known(node_type, ids) >= 0)).to_pylist()
        if known:
            raise DataError(
                f"{where}: nodes.{node_type}: ids must be new (the graph has {', '.join(known[:5])} already). Ask for "
                f"known nodes by their ids alone"
            )

    def _ends(self, encoded: EncodedRows, ids: Mapping[NodeType, pa.Array], where: str) -> dict[EdgeType, Ends]:
        """Positions of both ends of all new edges, reverses included."""
        ends: dict[EdgeType, Ends] = {}
        for edge_type, edges in encoded.edges.items():
            key = f"{where}: edges.{edge_name(edge_type)}"
            source = self._end(edge_type[0], edges.sources, ids, f"{key}: source")
            target = self._end(edge_type[2], edges.targets, ids, f"{key}: target")
            ends[edge_type] = (source, target)
            reverse = self.graph.manifest.edge(edge_type).reverse
            if reverse is not None:
                ends[reverse] = (target, source)
        return ends

    def _end(self, node_type: NodeType, ends: pa.Array, ids: Mapping[NodeType, pa.Array], where: str) -> IntArray:
        wanted = _strings(ends, where)
        found = self._known(node_type, wanted)
        if node_type in ids:
            place = {name: i for i, name in enumerate(ids[node_type].to_pylist())}
            first = self._counts[node_type]
            for at in np.flatnonzero(found < 0):
                found[at] = first + place.get(wanted[int(at)].as_py(), -first - 1)
        missing = wanted.filter(pa.array(found < 0)).to_pylist()
        if missing:
            raise DataError(
                f"{where}: must be an id of a known node of type {node_type}, or of a new one in this request (got "
                f"{', '.join(map(repr, missing[:5]))})"
            )
        return found

    def _inputs(
        self,
        row_type: RowType,
        columns: Mapping[str, Any],
        texts: Mapping[tuple[RowType, str], Rows],
        count: int,
        where: str,
    ) -> dict[str, Rows]:
        """Rows of all inputs that the model reads of a type."""
        inputs: dict[str, Rows] = {}
        for name, source in self._sources_of(row_type).items():
            short = name.partition(":")[2]
            if isinstance(source, EdgeDegrees):
                raise DataError(
                    f"{where}: edges.{type_name(row_type)}: must be left out: the model reads degrees of the graph "
                    f"that it was trained on, which new edges change. Train a network that reads none, e.g. rgcn"
                )
            if isinstance(source, RowTable):
                raise DataError(
                    f"{where}: nodes.{type_name(row_type)}: must be known nodes: the model reads averages that were "
                    f"made of the whole graph. Use gsl apply, which makes them again"
                )
            if isinstance(source, EdgeWeights):
                inputs[name] = columns[feature_column(source.feature.name)]
            elif isinstance(source, NodeEmbeddings):
                inputs[name] = self._unlearnt(row_type, source, count, where)
            elif (row_type, short) in texts:
                inputs[name] = texts[row_type, short]
            elif name == input_name(IMAGE, short) and image_column(short) in columns:
                inputs[name] = columns[image_column(short)]
            else:
                inputs[name] = self._numbers(row_type, name, columns[feature_column(name)])
        return inputs

    def _numbers(self, row_type: RowType, name: str, column: Any) -> Rows:
        """Rows [n, F] of a feature."""
        if isinstance(column, np.ndarray):
            return column
        manifest = self.graph.manifest
        features = manifest.node(row_type).features if isinstance(row_type, str) else manifest.edge(row_type).features
        return np.asarray(rows_of(column, features[name].width))

    def _unlearnt(self, row_type: RowType, source: NodeEmbeddings, count: int, where: str) -> Rows:
        """Vectors of nodes that the model has not learnt any of."""
        learnt = source.table.own
        if self._unknown == "refuse":
            raise DataError(
                f"{where}: nodes.{row_type}: must be known nodes, since the model reads a learnt vector of each. Start "
                f"the server with --unknown mean or --unknown zero to give new ones a stand-in"
            )
        width = learnt.shape[1]
        row = learnt.mean(axis=0) if self._unknown == "mean" and len(learnt) else np.zeros(width, dtype=np.float32)
        return np.repeat(row[None].astype(np.float32), count, axis=0)


def refuse_files(given: NewTables, where: str) -> None:
    """DataError for images: their column holds paths, and whoever asks must not have the server open files."""
    for name, node in given.nodes.items():
        columns = {image["column"] for image in (node.get("image") or {}).values()}
        for file in node.get("files", []):
            table = given.held[file.removeprefix(SCHEME)]
            for column in sorted(columns & {*table.column_names}):
                if table[column].null_count < len(table):
                    raise DataError(f"{where}: nodes.{name}: column '{column}' must be null: images cannot be sent")


def _limited(fanout: FanoutByType, most: int) -> FanoutByType:
    """At most so many neighbours by each edge type that takes part."""
    limited = {name: most if k else 0 for name, k in fanout.by_edge_type.items()}
    return FanoutByType(default=most if fanout.default else 0, by_edge_type=limited)


def _strings(ids: Any, where: str) -> pa.Array:
    """Ids as strings."""
    try:
        array = ids if isinstance(ids, pa.Array) else pa.array([None if i is None else str(i) for i in ids])
        return array.cast(pa.large_string())
    except (pa.ArrowException, TypeError, ValueError) as err:
        raise ConfigError(f"{where}: must be ids, strings or whole numbers (got: {err})") from None
