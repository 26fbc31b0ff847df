"""What learns is what was asked for; what does not is in no optimizer and no checkpoint."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import save_file

from graphstorm_like.config.lm import LmConfig
from graphstorm_like.config.tuning import FullTuning, LoraTuning, TopTuning, TuneConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.testing.text import FAMILIES, tiny_text_model
from graphstorm_like.text.batching import TextBatch, collate
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.layers import layer_list
from graphstorm_like.text.tokens import TokenStore, build_token_store
from graphstorm_like.text.tuning import TUNINGS, Tuning
from graphstorm_like.training.checkpoint import load_weights
from graphstorm_like.training.lm.language_models import FastDropout, LanguageModels

TUNES = {"full": FullTuning(type="full"), "top": TopTuning(type="top", layers=1), "lora": LoraTuning(type="lora")}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    try:
        return request.param, tiny_text_model(tmp_path_factory.mktemp(request.param), request.param)
    except AttributeError:
        pytest.skip(f"this transformers has no {request.param}")


def batch_of(encoder: TextEncoder, folder: Path) -> TextBatch:
    texts = ["the graph library", "x", "a longer text of the data files", "node"]
    return collate(build_token_store(texts, encoder.tokenizer, folder, 32), [0, 1, 2, 3])


def learning(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: p for n, p in module.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_every_family_learns(family: tuple[str, Path], tmp_path: Path, tune: str, checkpointing: bool) -> None:
    """All that should learn gets a gradient and moves; nothing else moves; what is saved gives the same vectors."""
    encoder = TextEncoder.load(family[1], dtype="float32", attention="eager")
    config = LmConfig(tune=TUNES[tune], lr=1e-2, dropout=0.0, gradient_checkpointing=checkpointing)
    if family[0] == "albert" and tune == "top":  # all its layers are one: none is the top
        with pytest.raises(ConfigError, match=r"tune\.type top, layer_decay and .* which AlbertModel does not show"):
            LanguageModels({"*": encoder}, config)
        return
    lms = LanguageModels({"*": encoder}, config)
    batch = batch_of(encoder, tmp_path)
    before = {n: p.detach().clone() for n, p in encoder.named_parameters()}
    lms.train()
    groups = lms.groups()
    optimizer = torch.optim.AdamW([{"params": list(g.parameters), "lr": g.lr} for g in groups])
    assert sum(len(g.parameters) for g in groups) == len(learning(encoder))
    for _ in range(2):  # LoRA's first factor has no gradient until the second has moved
        encoder(batch).square().sum().backward()
        if tune != "lora":
            assert [n for n, p in learning(encoder).items() if p.grad is None] == []
        optimizer.step()
        optimizer.zero_grad()
    moved = {n for n, p in encoder.named_parameters() if not torch.equal(p, before[n])}
    # A query's bias may have no effect where attention is short; matrices must move.
    assert moved <= set(learning(encoder))
    assert {n for n, p in learning(encoder).items() if p.dim() > 1} <= moved
    assert set(lms.state_dict()) == {f"encoders.0.{n}" for n in learning(encoder)}
    save_file(lms.state_dict(), tmp_path / "weights.safetensors")
    lms.eval()
    lms.save(tmp_path / "saved")
    loaded = TextEncoder.load(tmp_path / "saved" / "shared", dtype="float32", attention="eager")
    assert loaded.pooling == encoder.pooling
    with torch.no_grad():
        torch.testing.assert_close(loaded(batch), encoder(batch), atol=1e-5, rtol=1e-4)


def test_a_tuning_registered_from_outside(encoder: TextEncoder, store: TokenStore, tmp_path: Path) -> None:
    """One config class and one operator decide what learns, what wraps the model, and what is saved."""

    class BiasTuning(TuneConfig):
        type: Literal["test_biases"]

    class Wrapped(torch.nn.Module):
        def __init__(self, backbone: torch.nn.Module) -> None:
            super().__init__()
            self.backbone, self.config = backbone, backbone.config

        def forward(self, **inputs: Any) -> Any:
            return self.backbone(**inputs)

    @TUNINGS.register(BiasTuning)
    class Biases(Tuning[BiasTuning]):
        def freeze(self, backbone: torch.nn.Module) -> None:
            for name, parameter in backbone.named_parameters():
                parameter.requires_grad_(name.endswith("bias"))

        def wrapped(self, backbone: torch.nn.Module) -> torch.nn.Module:
            return Wrapped(backbone)

        def merged(self, backbone: torch.nn.Module) -> torch.nn.Module:
            assert isinstance(backbone, Wrapped)
            return backbone.backbone

    plain = encoder.backbone
    lms = LanguageModels({"*": encoder}, LmConfig.model_validate({"tune": {"type": "test_biases"}, "dropout": 0.0}))
    assert learning(encoder)
    assert all(name.endswith("bias") for name in learning(encoder))
    assert isinstance(encoder.backbone, Wrapped)
    lms.eval()
    lms.save(tmp_path)
    assert isinstance(encoder.backbone, Wrapped)
    assert encoder.backbone.backbone is plain
    saved = TextEncoder.load(tmp_path / "shared", dtype="float32")
    batch = collate(store, [0, 1])
    with torch.no_grad():
        torch.testing.assert_close(saved(batch), encoder(batch), atol=1e-5, rtol=1e-4)


def test_gradient_checkpointing_is_really_on(encoder: TextEncoder, store: TokenStore) -> None:
    """Each layer runs twice in a step, not once: a config key that a library ignores would go unseen."""
    counts: dict[bool, int] = {}
    for on in (False, True):
        lms = LanguageModels({"*": encoder}, LmConfig(gradient_checkpointing=on, dropout=0.0))
        calls = 0

        def count(*_: Any) -> None:
            nonlocal calls
            calls += 1

        _, layers = layer_list(encoder.backbone)
        handles = [layer.attention.register_forward_hook(count) for layer in layers]
        lms.train()
        encoder(collate(store, [0, 1])).sum().backward()
        counts[on] = calls
        for handle in handles:
            handle.remove()
    assert counts == {False: len(layers), True: 2 * len(layers)}


@pytest.mark.parametrize("tune", ["full", "lora"])
def test_albert_s_layers_have_no_depth(tmp_path: Path, tune: str) -> None:
    """It learns at one rate; a rate a layer is refused."""
    folder = tiny_text_model(tmp_path, "albert")
    lms = LanguageModels({"*": TextEncoder.load(folder, dtype="float32")}, LmConfig(tune=TUNES[tune], lr=0.5))
    assert {group.lr for group in lms.groups()} == {0.5}
    other = LanguageModels({"*": TextEncoder.load(folder, dtype="float32")}, LmConfig(layer_decay=0.9))
    with pytest.raises(ConfigError, match="layer_decay and gradient_checkpointing need a model with a list of layers"):
        other.groups()


def test_a_tensor_of_two_names_is_kept_once(tmp_path: Path) -> None:
    """T5 has its token embeddings under two names, which safetensors (resume points, best weights) refuse."""
    folder = tiny_text_model(tmp_path / "model", "t5")
    lms = LanguageModels({"*": TextEncoder.load(folder, dtype="float32")}, LmConfig())
    modules = torch.nn.ModuleDict({"other": torch.nn.Linear(2, 2), "lm": lms})
    state = modules.state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    assert set(state) == set(learning(modules))
    save_file(state, tmp_path / "weights.safetensors")
    again = LanguageModels({"*": TextEncoder.load(folder, dtype="float32")}, LmConfig())
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    load_weights(tmp_path / "weights.safetensors", torch.nn.ModuleDict({"other": torch.nn.Linear(2, 2), "lm": again}))
    embeddings = [m.of("*").backbone.get_input_embeddings().weight for m in (lms, again)]
    assert torch.equal(*embeddings)
    assert embeddings[1].any()


@pytest.mark.known_answer("tuning/full")
def test_learning_rates_fall_towards_the_input(encoder: TextEncoder) -> None:
    lms = LanguageModels({"*": encoder}, LmConfig(lr=1.0, layer_decay=0.5))
    lr_of = {id(p): g.lr for g in lms.groups() for p in g.parameters}
    names = dict(encoder.backbone.named_parameters())
    assert lr_of[id(names["embeddings.word_embeddings.weight"])] == 0.25
    assert lr_of[id(names["encoder.layer.0.output.dense.weight"])] == 0.5
    assert lr_of[id(names["encoder.layer.1.output.dense.weight"])] == 1.0
    decays = {p.dim() > 1: g.weight_decay for g in lms.groups() for p in g.parameters}
    assert decays == {True: 0.01, False: 0.0}


@pytest.mark.known_answer("tuning/top")
def test_top_layers(encoder: TextEncoder) -> None:
    lms = LanguageModels({"*": encoder}, LmConfig(tune=TopTuning(type="top", layers=1)))
    names = learning(encoder.backbone)
    assert names
    assert all(n.startswith("encoder.layer.1.") for n in names)
    with pytest.raises(ConfigError, match=r"train\.lm\.tune\.layers: must be at most 2, the model's layers \(got 9\)"):
        LanguageModels({"*": encoder}, LmConfig(tune=TopTuning(type="top", layers=9)))
    # And back: a later phase that tunes all really does.
    LanguageModels({"*": encoder}, LmConfig())
    assert len(learning(encoder)) == len(list(encoder.parameters()))
    assert lms.groups()


def test_dropout_is_what_was_asked_for(encoder: TextEncoder, store: TokenStore) -> None:
    LanguageModels({"*": encoder}, LmConfig(dropout=0.0)).train()
    batch = collate(store, [0, 3])
    assert torch.equal(encoder(batch), encoder(batch))
    LanguageModels({"*": encoder}, LmConfig(dropout=0.5)).train()
    assert {m.p for m in encoder.modules() if isinstance(m, FastDropout)} == {0.5}
    assert not torch.equal(encoder(batch), encoder(batch))
    encoder.eval()
    assert torch.equal(encoder(batch), encoder(batch))


@pytest.mark.known_answer("tuning/lora")
def test_lora_adds_a_product_of_two_thin_matrices(encoder: TextEncoder) -> None:
    """W x + alpha / rank B A x (Hu et al. 2022), and the same by one matrix in the model that is saved."""
    config = LoraTuning(type="lora", rank=2, alpha=6.0, modules=["value"])
    backbone = copy.deepcopy(encoder.backbone)
    tuning = TUNINGS.of(config)(config)
    wrapped = tuning.wrapped(backbone).eval()
    layers = [m for n, m in wrapped.named_modules() if n.endswith("layer.1.attention.self.value")]
    (layer,) = layers
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert (down.shape[0], up.shape[1], bool(up.any())) == (2, 2, False), "it starts as what it was"
    with torch.no_grad():
        up.normal_()
        x = torch.randn(5, down.shape[1])
        product = 6.0 / 2 * up @ down
        torch.testing.assert_close(layer(x), layer.base_layer(x) + x @ product.T)
        merged = dict(tuning.merged(wrapped).named_parameters())["encoder.layer.1.attention.self.value.weight"]
        torch.testing.assert_close(merged, layer.base_layer.weight + product)


def test_lora_names_are_checked(encoder: TextEncoder) -> None:
    with pytest.raises(ConfigError, match=r"train\.lm\.tune\.modules: must name linear layers of BertModel"):
        LanguageModels({"*": encoder}, LmConfig(tune=LoraTuning(type="lora", modules=["quary"])))


def test_memory_estimate_grows_with_what_is_kept(encoder: TextEncoder) -> None:
    cpu = torch.device("cpu")
    plain = LanguageModels({"*": encoder}, LmConfig()).activation_tokens(cpu)
    checked = LanguageModels({"*": encoder}, LmConfig(gradient_checkpointing=True)).activation_tokens(cpu)
    assert checked > plain > 0
    assert LanguageModels({"*": encoder}, LmConfig(activation_tokens=77)).activation_tokens(cpu) == 77


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_model_gives_the_same(bert: Path, tmp_path: Path) -> None:
    found = []
    for on in (False, True):
        encoder = TextEncoder.load(bert, dtype="float32", attention="sdpa")
        lms = LanguageModels({"*": encoder}, LmConfig(compile=on, dropout=0.0))
        lms.train()
        assert (encoder.backbone._compiled_call_impl is not None) == on
        vectors = encoder(batch_of(encoder, tmp_path))
        vectors.square().sum().backward()
        weight = encoder.backbone.get_input_embeddings().weight
        assert weight.grad is not None
        found.append((vectors.detach(), weight.grad, sorted(lms.state_dict())))
    (plain, plain_gradient, names), (compiled, gradient, compiled_names) = found
    torch.testing.assert_close(compiled, plain, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient, plain_gradient, atol=1e-5, rtol=1e-4)
    assert names == compiled_names
