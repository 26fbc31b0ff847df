"""A text of megabytes costs what is kept of it, and gives the tokens of the whole text."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, trainers

from graphstorm_like.testing.text import tiny_tokenizer
from graphstorm_like.text import tokenizing
from graphstorm_like.text.tokenizing import Tokenizer

pytest.importorskip("transformers")

KINDS = ("wordpiece", "bpe", "unigram")


def trained(kind: str) -> Any:
    """A small tokenizer of a kind, of made-up words."""
    from transformers import PreTrainedTokenizerFast

    if kind == "wordpiece":
        return tiny_tokenizer("bert")
    rng = random.Random(0)
    syllables = [a + b for a in "bdgklmnt" for b in "aeiou"]
    corpus = [" ".join("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(9)) for _ in range(300)]
    if kind == "bpe":
        backend = Backend(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, special_tokens=["<unk>"])
    else:
        backend = Backend(models.Unigram())
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizers.Metaspace(split=False)  # one long word: the hardest case
        trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>"], unk_token="<unk>")
    backend.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>")


TOKENIZERS = {kind: trained(kind) for kind in KINDS}
WORDS = st.one_of(
    st.sampled_from(
        ["graph", "ka", "nodes", "dalimo", "x" * 99, "y" * 130, "\u00e9\u00e9", "a-b_c", "\u6f22\u5b57", "1,000.5"]
    ),
    st.text(st.sampled_from([*string.printable, "\u200b", "\u0301", "\ufb01"]), min_size=1, max_size=12),
)


def whole(tokenizer: Any, texts: list[str], max_tokens: int, max_chunks: int) -> tuple[list[int], list[int]]:
    """Ids and lengths of the kept pieces, from the whole text."""
    pieces: list[list[int]] = []
    for text in texts:
        encoded = tokenizer(
            text, truncation=True, max_length=max_tokens, return_overflowing_tokens=True, add_special_tokens=True
        )["input_ids"]
        pieces += [list(ids) or [0] for ids in encoded[:max_chunks]]
    return [i for piece in pieces for i in piece], [len(piece) for piece in pieces]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_window_gives_the_tokens_of_the_whole_text(kind: str, side: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[kind]
    tokenizer.truncation_side = side
    words = data.draw(st.lists(WORDS, min_size=1, max_size=12))
    glue = data.draw(st.sampled_from([" ", "", "\n", "   "]))
    order = random.Random(data.draw(st.integers(0, 9)))
    texts = [glue.join(order.choices(words, k=order.choice([3, 900, 3000])))[:12_000] for _ in range(2)]
    max_tokens, max_chunks = data.draw(st.sampled_from([(4, 1), (4, 3), (16, 1)]))
    flat, lengths, _, _ = Tokenizer(tokenizer, max_tokens, max_chunks)(texts)
    assert (flat.tolist(), lengths.tolist()) == whole(tokenizer, texts, max_tokens, max_chunks)


@pytest.mark.parametrize("filler", [" ", "\n", "\x00"])
def test_what_leaves_no_token_does_not_hide_the_words_behind_it(filler: str) -> None:
    flat, _, _, cut = Tokenizer(TOKENIZERS["wordpiece"], 5)([filler * 200_000 + "graph node"])
    assert TOKENIZERS["wordpiece"].decode(flat) == "[CLS] graph node [SEP]"
    assert cut == 0


def test_only_a_window_is_tokenised(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    encode = Tokenizer._encode_fast

    def spy(self: Tokenizer, texts: list[str]) -> list[list[list[int]]]:
        seen.extend(map(len, texts))
        return encode(self, texts)

    monkeypatch.setattr(Tokenizer, "_encode_fast", spy)
    tokenizer = Tokenizer(tiny_tokenizer("bert"), 8, 2)
    *_, cut = tokenizer(["graph node " * 100_000, "node"])
    assert cut == 1
    assert max(seen) <= tokenizing._CHARACTERS_PER_TOKEN * (2 * 16 + tokenizing._MARGIN)


PEAK = """
import json, resource, sys
from graphstorm_like.testing.text import tiny_tokenizer
from graphstorm_like.text.tokens import build_token_store

tokenizer, text = tiny_tokenizer("bert"), "graph node of 2,000 texts " * 400_000
build_token_store(["graph"], tokenizer, sys.argv[1], 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store = build_token_store([text, "node"], tokenizer, sys.argv[1], 32)
print(json.dumps([len(text), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, store.lengths().tolist()]))
"""


def test_a_text_of_10_megabytes_needs_no_gigabyte(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=120)
    characters, kilobytes, lengths = json.loads(done.stdout)
    assert characters > 10_000_000
    assert lengths == [32, 3]
    assert kilobytes < 200_000
