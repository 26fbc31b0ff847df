"""Input fusion: which inputs reach the vector, how they are scaled, what a type without any gets."""

from __future__ import annotations

import torch

from graphstorm_like.models.inputs import InputEncoder, NodeInput, NodeInputSpec


def test_fusion_is_a_projection_of_the_scaled_concatenation() -> None:
    spec = NodeInputSpec(5, {"text:t": 4, "price": 1}, False, {"text:t": 3.0})
    encoder = NodeInput(spec, 6, 0.0).eval()
    features = {"text:t": torch.randn(5, 4).half(), "price": torch.randn(5, 1)}
    order = encoder.names
    weight = torch.cat([encoder.projections[order.index(n)].weight for n in order], dim=1)
    inputs = torch.cat([features[n].float() * spec.scales.get(n, 1.0) for n in order], dim=1)
    want = torch.relu(encoder.norm(inputs @ weight.T + encoder.bias))
    torch.testing.assert_close(encoder(torch.arange(5), features), want, atol=1e-5, rtol=1e-5)


def test_embeddings_are_per_node_and_sparse() -> None:
    encoder = NodeInput(NodeInputSpec(7, {}, True), 4, 0.0)
    out = encoder(torch.tensor([1, 1, 6]), {})
    assert torch.equal(out[0], out[1])
    assert not torch.equal(out[0], out[2])
    out.sum().backward()
    assert encoder.embedding is not None
    assert encoder.embedding.weight.grad is not None
    assert encoder.embedding.weight.grad.is_sparse


def test_a_type_with_nothing_has_one_vector() -> None:
    encoder = InputEncoder({"a": NodeInputSpec(3, {}, False)}, 4, 0.0)
    out = encoder({"a": torch.arange(3)}, {})["a"]
    assert out.shape == (3, 4)
    assert torch.equal(out[0], out[2])
    assert out.abs().sum() > 0


def test_scales_are_saved_with_the_weights() -> None:
    one = NodeInput(NodeInputSpec(1, {"text:t": 2}, False, {"text:t": 9.0}), 2, 0.0)
    two = NodeInput(NodeInputSpec(1, {"text:t": 2}, False), 2, 0.0)
    two.load_state_dict(one.state_dict())
    assert two.scales.tolist() == [9.0]
