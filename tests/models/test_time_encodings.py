"""Time encodings: known answers, gradients, and their place in the model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from graphstorm_like.config.choice import members_of
from graphstorm_like.config.time_encodings import TimeEncodingConfig, TimeEncodingField
from graphstorm_like.graph.store import Relation
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.inputs import NodeInput, NodeInputSpec
from graphstorm_like.models.time_encodings import TIME_ENCODINGS, TimeEncoding
from graphstorm_like.sampling.clock import AGE

BUYS = ("user", "buys", "item")


def config(**settings: Any) -> TimeEncodingConfig:
    return TypeAdapter(TimeEncodingField).validate_python({"width": 3, "longest": 100.0, "shortest": 1.0, **settings})


def encoding(**settings: Any) -> TimeEncoding:
    made = config(**settings)
    return TIME_ENCODINGS.of(made)(made).double()


@pytest.mark.known_answer("time_encodings/cosine")
def test_cosines_by_hand() -> None:
    """Periods 100, 10 and 1; then with phases."""
    found = encoding(type="cosine")
    ages = torch.tensor([0.0, 25.0, 2.5], dtype=torch.float64)
    wanted = [[1, 1, 1], [0, math.cos(2 * math.pi * 2.5), 1], [math.cos(math.pi / 20), math.cos(math.pi / 2), -1]]
    torch.testing.assert_close(found(ages), torch.tensor(wanted, dtype=torch.float64), atol=1e-4, rtol=0)
    with torch.no_grad():
        found.phase.copy_(torch.tensor([math.pi, 0.0, math.pi / 2]))
    torch.testing.assert_close(found(ages[:1])[0], torch.tensor([-1.0, 1.0, 0.0]).double(), atol=1e-6, rtol=0)


@pytest.mark.known_answer("time_encodings/time2vec")
def test_time2vec_by_hand() -> None:
    """A line through 1 at the longest period, and sines of periods 100 and 1."""
    found = encoding(type="time2vec")
    ages = torch.tensor([0.0, 25.0, 250.25], dtype=torch.float64)
    wanted = [[0, 0, 0], [0.25, 1, 0], [2.5025, math.sin(2 * math.pi * 2.5025), 1]]
    torch.testing.assert_close(found(ages), torch.tensor(wanted, dtype=torch.float64), atol=2e-3, rtol=0)


@pytest.mark.parametrize("kind", members_of(TimeEncodingConfig))
def test_gradients(kind: str) -> None:
    found = encoding(type=kind)
    ages = torch.tensor([0.3, 4.0, 77.0], dtype=torch.float64)
    names = [name for name, _ in found.named_parameters()]

    def with_parameters(*values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(found, dict(zip(names, values, strict=True)), (ages,))

    values = [parameter.detach().clone().requires_grad_() for parameter in found.parameters()]
    assert torch.autograd.gradcheck(with_parameters, values)
    assert found(ages).shape == (3, 3)


def test_the_name_alone_stands_for_the_defaults() -> None:
    short = TypeAdapter(TimeEncodingField).validate_python("cosine")
    assert (short.type, short.width) == ("cosine", 16)


def test_ages_of_edges_enter_the_mean() -> None:
    """U mean(phi(age)) of each row's edges, beside their features."""
    torch.manual_seed(0)
    spec = EdgeInputSpec({"price": 2}, time=config(type="cosine"))
    inputs = EdgeInputs({BUYS: spec}, 4)
    prices = torch.randn(3, 2)
    relation = Relation(
        torch.tensor([0, 2]),
        torch.tensor([0, 1, 3]),
        torch.tensor([0, 1, 2]),
        torch.arange(3),
        inputs={"price": prices},
        ages=torch.tensor([1.0, 3.0, 9.0]),
    )
    assert inputs.names[BUYS] == ["price", AGE]
    encoded = inputs.times["0"](relation.ages)
    projections = inputs.types[0]
    each = projections[0](prices) + projections[1](encoded)
    torch.testing.assert_close(inputs.each(BUYS, relation), each)
    means = torch.stack([each[0], each[1:].mean(0)])
    torch.testing.assert_close(inputs.add_means(torch.zeros(2, 4), BUYS, relation), means)


def test_ages_of_nodes_are_an_input() -> None:
    torch.manual_seed(0)
    node = NodeInput(NodeInputSpec({}, embedding=False, is_plain=True, time=config(type="time2vec")), 4, 0.0)
    ages = torch.from_numpy(np.array([0.0, 5.0], dtype=np.float32))
    found = node(torch.arange(2), {AGE: ages})
    encoder, projection = node.projections[0]
    torch.testing.assert_close(found, projection(encoder(ages)) + node.bias)
    found.sum().backward()
    assert encoder.frequency.grad.abs().sum() > 0
