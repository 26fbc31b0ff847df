"""`model:` the text encoder, the inputs of the graph network, and the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from graphstorm_like.config.base import Name, Strict
from graphstorm_like.config.gnns import Dropout, GnnConfig
from graphstorm_like.config.gnns.rgcn import RgcnConfig
from graphstorm_like.config.image_encoders import ImageEncoderConfig
from graphstorm_like.config.temporal import TemporalConfig
from graphstorm_like.config.text_encoders import TextEncoderConfig

SHARED = "*"
"""Key of the language model of all node types without one of their own. No node type can have this name."""


class NodeInputConfig(Strict):
    """The inputs of a node type; default: all its features, texts and images."""

    features: list[Name] | None = None
    """Features that enter; default: all."""
    text: list[Name] | None = None
    """Texts that enter; default: all. []: none."""
    image: list[Name] | None = None
    """Images that enter; default: all. []: none."""
    text_encoder: TextEncoderConfig | None = None
    """A language model of this type's own, with weights of its own; default: `model.text_encoder`, which all share."""
    embedding: bool | Literal["auto"] = "auto"
    """A learnable vector per node. auto: only for types that have neither features nor text nor images, and are not
    built from neighbours."""
    neighbors: bool = False
    """Means of the neighbours' features and texts, by each relation into the type, are inputs too: what a type without
    features is built from. They are made once, before training."""
    activation: Literal["relu", "none"] = "relu"
    """After the sum of all inputs. relu: layer norm and ReLU; none: the sum itself, what decoders of knowledge graphs
    take of learnable vectors (with `gnn: { type: none, layers: 0 }`)."""
    layers: Annotated[int, Field(ge=0, le=8)] = 0
    """Dense layers with ReLU after that (NGNN: Song et al. 2021): an MLP on the inputs, before any neighbour counts."""
    own_layers: Annotated[int, Field(ge=0, le=8)] = 0
    """Hidden layers of each feature, text or image by itself, before the sum: an MLP each."""


class EdgeInputConfig(Strict):
    """The inputs of an edge type, which enter the messages along it; default: all its features and texts."""

    features: list[Name] | None = None
    """Features that enter; default: all."""
    text: list[Name] | None = None
    """Texts that enter; default: all."""


class ModelConfig(Strict):
    """text, images -> vectors; (vectors, features, learnable embeddings) -> input; input -> GNN."""

    text_encoder: TextEncoderConfig | None = None
    """The language model that reads all texts of types without one of their own; null: no text is read."""
    image_encoder: ImageEncoderConfig | None = None
    """Turns images into vectors; null: no image is read."""
    inputs: dict[Name, NodeInputConfig] = {}
    """Per node type; types not listed take the defaults."""
    edge_inputs: dict[str, EdgeInputConfig] = {}
    """Per edge type, 'source:relation:target', reverse types under their own names; types not listed have no
    inputs. Each sampled edge adds its inputs to the batch, so text vectors make batches large."""
    input_dropout: Dropout = 0.0
    """Of the fused inputs of nodes."""
    gnn: GnnConfig = RgcnConfig(type="rgcn")
    """The graph network."""
    time: TemporalConfig | None = None
    """Neighbours of the past alone; null: all edges count, whenever they were."""

    @property
    def averages_inputs(self) -> bool:
        """Whether any inputs are averages of neighbours' inputs, made before training."""
        return self.gnn.averaged_hops > 0 or any(inputs.neighbors for inputs in self.inputs.values())

    def text_encoders(self) -> dict[str, TextEncoderConfig]:
        """Every language model by its key: SHARED, or the node type that it belongs to."""
        encoders = {} if self.text_encoder is None else {SHARED: self.text_encoder}
        encoders |= {t: i.text_encoder for t, i in self.inputs.items() if i.text_encoder is not None}
        return encoders

    def encoder_places(self) -> dict[tuple[str, ...], TextEncoderConfig]:
        """Every language model by the path in the YAML where it is configured."""
        return {
            ("model", *(() if key == SHARED else ("inputs", key)), "text_encoder"): encoder
            for key, encoder in self.text_encoders().items()
        }

    def untrainable(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Text encoders that cannot learn: (path in the YAML, message)."""
        for path, encoder in self.encoder_places().items():
            if (problem := encoder.cannot_learn()) is not None:
                yield (*path, "type"), problem

    def dump_results(self) -> dict[str, Any]:
        """Everything that results depend on, and so not the number of processes that compute them."""
        neutral: Any = {"text_encoder": {"workers"}, "inputs": {"__all__": {"text_encoder": {"workers"}}}}
        return self.model_dump(mode="json", exclude=neutral)

    def encoder_key(self, row_type: str | tuple[str, str, str]) -> str:
        """The key of the language model that reads the texts of a node type; for edges it is the shared one."""
        if not isinstance(row_type, str):
            return SHARED
        inputs = self.inputs.get(row_type)
        return SHARED if inputs is None or inputs.text_encoder is None else row_type

    def with_encoders(self, changed: dict[str, TextEncoderConfig]) -> ModelConfig:
        """The same model with some language models replaced, by key."""
        inputs = dict(self.inputs)
        for node_type, node_inputs in self.inputs.items():
            if node_type in changed and node_inputs.text_encoder is not None:
                inputs[node_type] = node_inputs.model_copy(update={"text_encoder": changed[node_type]})
        return self.model_copy(update={"text_encoder": changed.get(SHARED, self.text_encoder), "inputs": inputs})
