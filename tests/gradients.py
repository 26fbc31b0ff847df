"""Small cases of all operators that compute with gradients: a function and the tensors in which it is differentiated.

A family has one builder, which makes a case of any configuration: a new operator of a known family needs nothing here,
unless its configuration has keys without defaults (`NEEDED`). A new family stands here, or in `WITHOUT` with a reason.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphstorm_like.config.choice import Choice
from graphstorm_like.config.inverses import inverse_of
from graphstorm_like.config.label_losses import LabelLossConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.models.degrees import DEGREES
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.image_encoders import IMAGE_ENCODERS
from graphstorm_like.models.label_losses import LABEL_LOSSES
from graphstorm_like.models.link_heads import LINK_HEADS
from graphstorm_like.models.losses import LINK_LOSSES, negatives, true_pairs
from graphstorm_like.models.time_encodings import TIME_ENCODINGS
from graphstorm_like.tasks.pair_terms import PAIR_TERMS
from graphstorm_like.tasks.weightings import WEIGHTINGS, StepLosses

from .models.test_gnns import EDGES as BLOCK_EDGES
from .models.test_gnns import SPECS, TYPES, D, degrees_of, small_block

SIMILAR = ("item", "similar", "item")
R = ("a", "r", "b")


@dataclass(frozen=True)
class Case:
    """value(*leaves) is a tensor, or several of them."""

    value: Callable[..., Any]
    leaves: list[Tensor]
    of: Callable[..., Any] | None = None
    """The function whose gradient it has, where its value is that of another one."""


Builder = Callable[[Any, Path], Case]
"""(configuration, folder of the shop's graph) -> case."""


def normal(*shape: int) -> Tensor:
    """A leaf."""
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def learnt(module: nn.Module) -> list[Tensor]:
    """Its parameters, moved away from 0 and 1."""
    found = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in found:
        parameter.data += 0.1 * torch.randn_like(parameter)
    return found


def graph_network(config: Any, graph: Path) -> Case:
    """Over a block of three relations, one of which has inputs of its edges."""
    block, h = small_block("rgcn")
    for edge_type, edges in BLOCK_EDGES.items():
        degrees = [(5.0, *degrees_of(edge_type, target)) for _, target in edges]
        block.relations[edge_type].inputs[DEGREES] = torch.tensor(degrees)
    gnn = GNNS.of(config)(config, ["a", "b"], TYPES, SPECS).double()
    leaves = [h["a"].requires_grad_(), h["b"].requires_grad_(), *learnt(gnn)]
    return Case(lambda *_: tuple(gnn([block] * gnn.num_hops, h).values()), leaves)


def link_head(config: Any, graph: Path) -> Case:
    """Scores of a relation and of its inverse."""
    head = LINK_HEADS.of(config)(config, 4, [R]).double()
    source, target = normal(2, 4), normal(3, 4)

    def value(source: Tensor, target: Tensor, *_: Tensor) -> Tensor:
        return torch.cat([head.scores(source, target, R), head.scores(target, source, inverse_of(R)).T])

    return Case(value, [source, target, *learnt(head)])


def link_loss(config: Any, graph: Path) -> Case:
    """With a mask, and corrected for how often candidates are drawn; with and without other edges' targets."""
    loss, mask = LINK_LOSSES.of(config)(config).double(), torch.zeros(3, 6, dtype=torch.bool)
    mask[0, 1] = mask[2, 4] = True
    ways = ((True, 0.3 * torch.randn(6, dtype=torch.float64)), (False, torch.zeros(6, dtype=torch.float64)))
    leaves = [normal(3, 6), *learnt(loss)]
    start = [leaf.detach().clone() for leaf in leaves]

    def value(scores: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        return tuple(loss(scores, mask, in_batch, drawn) for in_batch, drawn in ways)

    def flat(scores: Tensor) -> tuple[Tensor, ...]:
        """log of the sum over negatives of exp((s_ij - s_ii) / T - log q_j + log q_i)"""
        found = []
        for in_batch, drawn in ways:
            logits = scores / config.temperature - drawn
            sums = (logits.exp() * negatives(mask, in_batch)).sum(dim=1)
            found.append((sums.log() - true_pairs(logits, in_batch)).sum())
        return tuple(found)

    def with_fixed_weights(scores: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """How hard a negative is weighs it, and is no function of the scores."""
        found = []
        for in_batch, drawn in ways:
            hardness = config.sharpness * (start[0] * start[1] + start[2] - drawn)
            weights = hardness.masked_fill(~negatives(mask, in_batch), -torch.inf).softmax(dim=1)
            logits = scores * scale + bias - drawn
            of_negatives = (weights * softplus(logits)).sum(dim=1)
            found.append((softplus(-true_pairs(logits, in_batch)) + of_negatives).sum())
        return tuple(found)

    references = {"flat_nce": flat, "self_adversarial": with_fixed_weights}
    return Case(value, leaves, references.get(config.type))


def label_loss(config: LabelLossConfig, graph: Path) -> Case:
    """Of every kind of labels that it is for."""
    loss, weights = LABEL_LOSSES.of(config)(config).double(), torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    classes = {"class": torch.tensor([0, 2, 1]), "classes": torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]]).double()}
    numbers = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)

    def value(of_classes: Tensor, of_numbers: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        found = [loss(of_classes, classes[kind], weights)[0] for kind in config.of_labels if kind != "number"]
        return (*found, *(loss(of_numbers, numbers)[0] for kind in config.of_labels if kind == "number"))

    return Case(value, [normal(3, 3), normal(3, 1), *learnt(loss)])


def time_encoding(config: Any, graph: Path) -> Case:
    """Of three ages."""
    encoding = TIME_ENCODINGS.of(config)(config).double()
    ages = torch.tensor([0.3, 4.0, 77.0], dtype=torch.float64)
    return Case(lambda *_: encoding(ages), learnt(encoding))


def pair_term(config: Any, graph: Path) -> Case:
    """Of training edges of the shop, all candidates and some."""
    opened = LocalGraph(graph, {SIMILAR: None})
    term = PAIR_TERMS.of(config)(config, opened, SIMILAR).double()
    sources, targets = opened.edges(SIMILAR, opened.edge_rows(SIMILAR, "train")[:5])
    return Case(lambda *_: (term(sources, None, targets), term(sources, targets)), learnt(term))


def task_weighting(config: Any, graph: Path) -> Case:
    """Two tasks, whose losses are lines over shared weights; what it remembers is the same at each call."""
    made = WEIGHTINGS.of(config)(config, torch.tensor([1.0, 2.0]), 2).double()
    names = [name for name, _ in made.named_parameters()]

    def value(shared: Tensor, *learnt: Tensor) -> Tensor:
        fresh = copy.deepcopy(made)
        for name, parameter in zip(names, learnt, strict=True):
            delattr(fresh, name)
            setattr(fresh, name, parameter)
        own = [3.0 * shared[0] + 1.0, 4.0 * shared[1] - 2.0 * shared[0]]
        return fresh.combine(StepLosses(own, torch.tensor([2.0, 0.5]).double(), 10), [shared])

    return Case(value, [normal(2), *learnt(made)])


def image_encoder(config: Any, graph: Path) -> Case:
    """Two images of 4 x 8 pixels, without masks."""
    encoder = IMAGE_ENCODERS.of(config)(config, 4, 8).double().eval()
    pixels = torch.randint(0, 256, (2, 4 * 8 * 3), dtype=torch.uint8)
    return Case(lambda *_: encoder(pixels), learnt(encoder))


FAMILIES: dict[str, Builder] = {
    "gnns": graph_network,
    "image_encoders": image_encoder,
    "label_losses": label_loss,
    "link_heads": link_head,
    "link_losses": link_loss,
    "pair_terms": pair_term,
    "task_weightings": task_weighting,
    "time_encodings": time_encoding,
}
"""By the folder of their configurations."""

WITHOUT = {
    "attacks": "nothing is differentiated through what they find: tests/models/test_attacks.py has the best change",
    "features": "computed at construction",
    "launchers": "start processes",
    "metrics": "numbers of the evaluation",
    "negatives": "drawn",
    "optimizers": "use gradients, have none",
    "partitioners": "of nodes",
    "phases": "say what is trained when",
    "search": "of finished vectors",
    "splits": "of rows",
    "tasks": "their losses and heads are operators; tests/tasks has the gradients of what else they add",
    "text_encoders": "networks of another library",
    "trackers": "write numbers down",
    "tuning": "choose weights of networks of another library",
}
"""Families that compute nothing with gradients, or nothing of their own, and why."""

PLAIN: dict[str, dict[str, Any]] = {"gnns": {"hidden": D, "layers": 1, "dropout": 0.0, "norm": "none"}}
"""Keys that all members of a family have"""

NEEDED: dict[str, dict[str, Any]] = {
    "gnns/pyg": {"conv": "GATv2Conv"},
    "image_encoders/pixel_patch": {"patch": 4, "width": 4, "heads": 2, "layers": 1},
    "link_heads/bilinear": {"bases": 2},
    "pair_terms/common_neighbors": {"kinds": 4},
    "pair_terms/sum": {"terms": [{"type": "popularity"}, {"type": "text_neighbors", "k": 3}]},
    "time_encodings/cosine": {"width": 3},
    "time_encodings/time2vec": {"width": 3},
}
"""Keys without defaults, or whose defaults are large"""


def case_of(name: str, config_class: type[Choice], graph: Path) -> Case:
    """The case of an operator."""
    assert config_class.family is not None
    family, _, tag = name.partition("/")
    settings = {config_class.family.tag: tag, **PLAIN.get(family, {}), **NEEDED.get(name, {})}
    torch.manual_seed(1)
    return FAMILIES[family](config_class.model_validate(settings), graph)
