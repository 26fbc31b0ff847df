"""Input fusion: which inputs reach the vector, how they are scaled, what a type without any gets."""

from __future__ import annotations

import numpy as np
import torch

from graphstorm_like.models.inputs import EMBEDDING, InputEncoder, NodeInput, NodeInputSpec

MOMENTS = {"text:t": (np.array([5.0, -1.0, 0.0, 2.0]), np.array([0.1, 2.0, 1.0, 0.0]))}


def test_fusion_is_a_projection_of_the_standardised_concatenation() -> None:
    spec = NodeInputSpec({"text:t": 4, "price": 1}, False, MOMENTS)
    encoder = NodeInput(spec, 6, 0.0).eval()
    text = torch.randn(5, 4) * torch.tensor([0.1, 2.0, 1.0, 0.0]) + torch.tensor([5.0, -1.0, 0.0, 2.0])
    features = {"text:t": text, "price": torch.randn(5, 1)}
    order = encoder.names
    weight = torch.cat([encoder.projections[order.index(n)].weight for n in order], dim=1)
    standard = (text - text.new_tensor([5.0, -1.0, 0.0, 2.0])) / text.new_tensor([0.1, 2.0, 1.0, 1e-6])
    inputs = torch.cat([standard if n == "text:t" else features[n] for n in order], dim=1)
    want = torch.relu(encoder.norm(inputs @ weight.T + encoder.bias))
    torch.testing.assert_close(encoder(torch.arange(5), features), want, atol=1e-4, rtol=1e-4)


def test_bfloat16_keeps_what_is_left_beside_a_large_mean() -> None:
    spec = NodeInputSpec({"text:t": 4}, False, {"text:t": (np.full(4, 50.0), np.full(4, 0.5))})
    encoder = NodeInput(spec, 8, 0.0).eval()
    rows = (torch.randn(64, 4) * 0.5 + 50).half()
    exact = encoder(torch.arange(64), {"text:t": rows})
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(torch.arange(64), {"text:t": rows})
    assert (exact - half).abs().max() < 0.1  # rounding the rows themselves would be wrong by more than 0.5


def test_rows_of_an_embedding_enter_as_they_are() -> None:
    encoder = NodeInput(NodeInputSpec({}, True), 4, 0.0)
    assert not list(encoder.projections)
    rows = torch.randn(3, 4, requires_grad=True)
    out = encoder(torch.tensor([1, 1, 6]), {EMBEDDING: rows})
    torch.testing.assert_close(out, torch.relu(encoder.norm(rows + encoder.bias)))


def test_further_layers_are_an_mlp_on_the_sum() -> None:
    spec = NodeInputSpec({"price": 2}, False, layers=2)
    encoder = NodeInput(spec, 4, 0.0)
    rows = torch.randn(5, 2)
    sums = torch.relu(encoder.norm(rows @ encoder.projections[0].weight.T + encoder.bias))
    first, second = encoder.further
    wanted = torch.relu(torch.relu(sums @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    found = encoder(torch.arange(5), {"price": rows})
    torch.testing.assert_close(found, wanted)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    assert not any("further" in name for name in NodeInput(NodeInputSpec({"price": 2}, False), 4, 0.0).state_dict())


def test_each_input_may_have_an_mlp_of_its_own() -> None:
    encoder = NodeInput(NodeInputSpec({"a": 2, "b": 3}, False, is_plain=True, own_layers=1), 4, 0.0)
    rows = {"a": torch.randn(5, 2), "b": torch.randn(5, 3)}
    wanted = encoder.bias
    for name, projection, own in zip("ab", encoder.projections, encoder.own, strict=True):
        hidden = torch.relu(rows[name] @ projection.weight.T)
        wanted = wanted + hidden @ own[1].weight.T + own[1].bias
    found = encoder(torch.arange(5), rows)
    torch.testing.assert_close(found, wanted)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    plain = NodeInput(NodeInputSpec({"a": 2}, False), 4, 0.0)
    assert set(plain.state_dict()) == {
        "bias", "norm.weight", "norm.bias", "projections.0.weight", "projections.0.shift", "projections.0.scale"
    }  # fmt: skip


def test_a_type_with_nothing_has_one_vector() -> None:
    encoder = InputEncoder({"a": NodeInputSpec({}, False)}, 4, 0.0)
    out = encoder({"a": torch.arange(3)}, {})["a"]
    assert out.shape == (3, 4)
    assert torch.equal(out[0], out[2])
    assert out.abs().sum() > 0


def test_moments_are_saved_with_the_weights() -> None:
    one = NodeInput(NodeInputSpec({"text:t": 4}, False, MOMENTS), 2, 0.0)
    two = NodeInput(NodeInputSpec({"text:t": 4}, False, {"text:t": (np.zeros(4), np.ones(4))}), 2, 0.0)
    two.load_state_dict(one.state_dict())
    assert two.projections[0].shift.tolist() == [5.0, -1.0, 0.0, 2.0]
