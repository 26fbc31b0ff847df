"""Text columns -> vectors by the frozen language model, from the cache, as inputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.model import SHARED, ModelConfig, NodeInputConfig, TextEncoderConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType, type_name
from graphstorm_like.training.device import choose_device
from graphstorm_like.training.edge_inputs import chosen_edge_inputs, text_rows
from graphstorm_like.training.progress import Reporter

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache
    from graphstorm_like.text.encoder import TextEncoder


@dataclass(frozen=True)
class CachedText:
    """Text vectors from the embedding cache as a FeatureSource."""

    cache: EmbeddingCache
    order: IntArray | None = None
    """Row of the embedded text column for each id, when it is not the id itself."""

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows."""
        return self.cache.gather(ids if self.order is None else self.order[ids])

    def begin_rows(self, ids: IntArray) -> Callable[[], npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return partial(self.rows, ids)

    @property
    def width(self) -> int:
        """D"""
        return int(self.cache.vectors.shape[1])

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(mean, standard deviation) [D], over evenly chosen texts."""
        texts = np.unique(np.linspace(0, self.cache.store.num_texts - 1, 8192).astype(np.int64))
        vectors = self.cache.of_texts(texts).astype(np.float64)
        return vectors.mean(axis=0), vectors.std(axis=0)


TextVectors = dict[RowType, dict[str, CachedText]]
"""By node or edge type and name of the text."""


def chosen_inputs(
    config: ModelConfig, manifest: GraphManifest, node_type: NodeType
) -> tuple[list[str], list[str], bool]:
    """(features, texts, learnable embedding?) that enter the model for a node type."""
    node = manifest.node(node_type)
    wanted = config.inputs.get(node_type, NodeInputConfig())
    features = list(node.features) if wanted.features is None else wanted.features
    texts = list(node.text) if wanted.text is None else wanted.text
    for kind, names, known in (("feature", features, node.features), ("text", texts, node.text)):
        for name in names:
            if name not in known:
                raise DataError(
                    unknown(f"graph folder, node type {node_type}", kind, name, known) + " Run: gsl construct"
                )
    bare = not features and not texts
    return features, texts, bare if wanted.embedding == "auto" else wanted.embedding


def text_inputs(pipeline: Pipeline, manifest: GraphManifest) -> dict[NodeType, list[str]]:
    """Names of the texts of nodes that enter the model, by node type."""
    found = {t: chosen_inputs(pipeline.model, manifest, t)[1] for t in manifest.nodes}
    return {t: names for t, names in found.items() if names}


def text_vectors(
    pipeline: Pipeline, graph: Graph, reporter: Reporter, only: Sequence[NodeType] | None = None
) -> TextVectors:
    """Vectors of every text that enters the model (or of some node types): cached, or computed now, resuming."""
    wanted: dict[RowType, list[str]] = {}
    wanted.update(text_inputs(pipeline, graph.manifest))
    wanted |= {t: texts for t, (_, texts) in chosen_edge_inputs(pipeline.model, graph.manifest).items() if texts}
    if only is not None:
        wanted = {t: names for t, names in wanted.items() if t in only}
    encoders: dict[str, TextEncoder] = {}
    found: TextVectors = {}
    for row_type, names in wanted.items():
        key = pipeline.model.encoder_key(row_type) if isinstance(row_type, str) else SHARED
        if key not in encoders:
            encoders[key] = _load(pipeline, key)
        config = pipeline.model.text_encoders()[key]
        found[row_type] = {
            name: _embed(pipeline, graph, row_type, name, encoders[key], config, reporter) for name in names
        }
    return found


def _load(pipeline: Pipeline, key: str) -> TextEncoder:
    from graphstorm_like.text.encoder import TextEncoder

    config, device = pipeline.model.text_encoders()[key], choose_device(pipeline.train.device)
    return TextEncoder.load(
        config.name, pooling=config.pooling, max_tokens=config.max_tokens, dtype=config.dtype, device=device
    )


def _embed(
    pipeline: Pipeline,
    graph: Graph,
    row_type: RowType,
    name: str,
    encoder: TextEncoder,
    config: TextEncoderConfig,
    reporter: Reporter,
) -> CachedText:
    from graphstorm_like.text.cache import embed_all
    from graphstorm_like.text.tokens import build_token_store

    embedded, order = text_rows(graph, row_type)
    what, follow = f"{type_name(row_type)}.{name}", reporter.follow()
    tokens = build_token_store(
        graph.text(embedded, name),
        encoder.tokenizer,
        pipeline.cache,
        encoder.max_tokens,
        progress=partial(follow, f"tokenise {what}"),
        max_chunks=config.chunks,
    )
    cache = embed_all(
        encoder,
        tokens,
        pipeline.cache,
        config.batch_tokens,
        progress=partial(follow, f"embed {what} (tokens)"),
        workers=config.workers,
    )
    total = int(tokens.lengths().sum())
    pieces = f" in {len(cache):,} pieces" if config.chunks else ""
    reporter.line(
        f"{what}: vectors of {tokens.num_texts:,} distinct texts{pieces} ({tokens.meta['truncated_texts']:,} cut), "
        f"{total:,} tokens, width {encoder.dim}"
    )
    return CachedText(cache, order)
