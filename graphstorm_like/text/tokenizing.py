"""Texts -> token ids through a Hugging Face tokenizer, and a fingerprint that is equal when two tokenizers agree.

The Rust tokenizer is called directly, in batches: it works on all cores, and the padded lists, masks and type ids
that the Python wrapper builds around it are not needed here. Slow (pure Python) tokenizers go through the wrapper.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.hashing import hash_facts

# A token has about 5 characters of English, and no more than 16 of nearly any text.
_CHARACTERS_PER_TOKEN = 16
# WordPiece reads a word of more than 100 characters as unknown: where one is cut, up to 100 tokens may differ.
_MARGIN = 128
_WIDEN = 4
_SPACES = (" ", "\n")

_PARALLEL = "TOKENIZERS_PARALLELISM"
_set_by_us = False


class Tokenizer:
    """Callable: list of texts -> (flat ids int64 [T], lengths int64 [pieces], pieces per text int64 [n], texts cut).

    A text longer than max_tokens becomes up to max_chunks pieces, each with its special tokens; the rest is cut. Pieces
    are in the order in which the tokenizer truncates.

    Of a very long text only the end that is kept is tokenised, so that memory follows what is kept and not the text: a
    window of characters, cut at white space where there is some and widened until it holds at least twice as many
    tokens as are kept and _MARGIN more. So the kept tokens are those of the whole text when a token depends on no
    more than its own word (as far as the 100 characters that WordPiece reads of a word), and for models that look
    across words when the end of a text does not reach back over all the tokens after the kept ones.
    """

    def __init__(self, tokenizer: Any, max_tokens: int, max_chunks: int = 1) -> None:
        self._slow = tokenizer
        self._max_tokens = max_tokens
        self._max_chunks = max_chunks
        self._enough = 2 * max_tokens * max_chunks + _MARGIN
        self._fast = _private_backend(tokenizer, max_tokens) if _is_fast(tokenizer) else None
        # Decoders may turn the empty text into no token at all; a text must have one to have a vector.
        self._stand_in = _first_known(tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, 0)

    def __call__(
        self, texts: list[str]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
        with _parallel():
            encoded = self._encode(texts)
        counts = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        cut = int((counts > self._max_chunks).sum())
        np.minimum(counts, self._max_chunks, out=counts)
        kept = chain.from_iterable(pieces[: self._max_chunks] for pieces in encoded)
        ids = [piece or [self._stand_in] for piece in kept]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int64, count=int(lengths.sum()))
        return flat, lengths, counts, cut

    def _encode(self, texts: list[str]) -> list[list[list[int]]]:
        """The pieces of every text, at least as many as are kept."""
        encode = self._encode_slow if self._fast is None else self._encode_fast
        window = _CHARACTERS_PER_TOKEN * self._enough
        windows = [self._window(text, window) for text in texts]
        encoded = encode(windows)
        while too_short := self._too_short(texts, windows, encoded):
            window *= _WIDEN
            for i in too_short:
                windows[i] = self._window(texts[i], window)
                encoded[i] = encode([windows[i]])[0]
        return encoded

    def _too_short(self, texts: list[str], windows: list[str], encoded: list[list[list[int]]]) -> list[int]:
        """Numbers of the texts whose windows are not the whole text, and hold too few tokens."""
        numbers = []
        for i, pieces in enumerate(encoded):
            if len(windows[i]) < len(texts[i]) and sum(map(len, pieces)) < self._enough:
                numbers.append(i)
        return numbers

    def _window(self, text: str, size: int) -> str:
        """At most `size` characters of the end that is kept; cut between two words where the words are short."""
        if len(text) <= size:
            return text
        near = size // 4
        if self._slow.truncation_side == "left":
            first = len(text) - size
            spaces = [text.find(space, first, first + near) for space in _SPACES]
            start = min((space_at for space_at in spaces if space_at >= 0), default=first)
            return text[start:]
        space_at = max(text.rfind(space, size - near, size) for space in _SPACES)
        return text[: space_at if space_at >= 0 else size]

    def _encode_fast(self, texts: list[str]) -> list[list[list[int]]]:
        """All pieces of every text."""
        assert self._fast is not None
        encode = getattr(self._fast, "encode_batch_fast", self._fast.encode_batch)  # _fast: no character offsets
        pieces: list[list[list[int]]] = []
        for encoding in encode(texts):
            # Most texts have no overflow, and asking for it costs time.
            overflow = encoding.overflowing if len(encoding) >= self._max_tokens else ()
            pieces.append([encoding.ids, *(part.ids for part in overflow)])
        return pieces

    def _encode_slow(self, texts: list[str]) -> list[list[list[int]]]:
        options = {"padding": False, "return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        whole = self._slow(texts, truncation=False, **options)["input_ids"]
        pieces = [[row] for row in whole]
        for i, row in enumerate(whole):
            if len(row) > self._max_tokens:
                bare = self._slow(texts[i], truncation=False, add_special_tokens=False, **options)["input_ids"]
                pieces[i] = self._cut(row, bare)
        return pieces

    def _cut(self, row: list[int], bare: list[int]) -> list[list[int]]:
        """Pieces of `row`, which is `bare` between special tokens."""
        start = next(i for i in range(len(row)) if row[i : i + len(bare)] == bare)
        head, tail = row[:start], row[start + len(bare) :]
        room = self._max_tokens - len(head) - len(tail)
        spans = [(first, first + room) for first in range(0, len(bare), room)]
        if self._slow.truncation_side == "left":
            spans = [(max(0, stop - room), stop) for stop in range(len(bare), 0, -room)]
        return [[*head, *bare[a:b], *tail] for a, b in spans]


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Hash of all that decides which ids a text gets; padding and truncation settings left by a call do not count."""
    if _is_fast(tokenizer):
        content = json.loads(tokenizer.backend_tokenizer.to_str())
        content["truncation"] = content["padding"] = None
    else:
        settings = {k: v for k, v in getattr(tokenizer, "init_kwargs", {}).items() if isinstance(v, bool | int | str)}
        for unstable in ("name_or_path", "vocab_file", "tokenizer_file"):
            settings.pop(unstable, None)
        content = {
            "class": type(tokenizer).__name__,
            "vocab": tokenizer.get_vocab(),
            "special": {k: str(v) for k, v in tokenizer.special_tokens_map.items()},
            "settings": settings,
        }
    content["truncation_side"] = tokenizer.truncation_side
    return hash_facts(content)


def tokenizer_facts(tokenizer: Any) -> dict[str, Any]:
    """What a token store keeps about its tokenizer: vocab_size (largest id + 1), pad_id, special_ids."""
    pad = _first_known(tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return {"vocab_size": len(tokenizer), "pad_id": pad, "special_ids": sorted(set(tokenizer.all_special_ids))}


def _is_fast(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "is_fast", False)) and hasattr(tokenizer, "backend_tokenizer")


def _private_backend(tokenizer: Any, max_tokens: int) -> Any:
    """A copy, so that our truncation setting does not change the caller's tokenizer."""
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.enable_truncation(max_tokens, direction=tokenizer.truncation_side)
    return backend


def _first_known(*ids: int | None) -> int:
    return next(i for i in ids if i is not None)


@contextlib.contextmanager
def _parallel() -> Iterator[None]:
    """All cores inside; afterwards off, so that a fork later (a DataLoader worker) neither warns nor deadlocks.

    A value set by the user stays as it is.
    """
    global _set_by_us
    if os.environ.get(_PARALLEL) is not None and not _set_by_us:
        yield
        return
    _set_by_us = True
    os.environ[_PARALLEL] = "true"
    try:
        yield
    finally:
        os.environ[_PARALLEL] = "false"
