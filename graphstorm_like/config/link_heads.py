"""`task.head`: what scores links.

dot         similar ends are linked; the default
distmult    several relations, symmetric
complex     several relations, of which some have a direction
rotate      relations that compose
transe      relations that are inverse to each other or compose; not symmetric ones
bilinear    relations with a matrix each, made of shared ones
mlp         ends that are not alike; every pair is computed, which is slow over all targets
two_tower   ends that are not alike, with an index for search
"""

from __future__ import annotations

from typing import ClassVar, Literal

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice


class LinkHeadConfig(Choice, tag="type"):
    """Both ends' vectors -> the score of a link."""

    type: str

    inverts: ClassVar[bool] = False
    """Whether the parameters of a relation also score its inverse, so that sources can be ranked."""
    factorizes: ClassVar[bool] = False
    """Whether the score is a product of three factors, whose moduli `task.n3` keeps small."""


class BilinearHeadConfig(LinkHeadConfig):
    """score(s, r, t) = h_s' W_r h_t (RESCAL, Nickel et al. 2011), with W_r a weighted sum of matrices that all
    relations share (Schlichtkrull et al. 2018)."""

    inverts: ClassVar[bool] = True

    type: Literal["bilinear"]
    bases: PositiveInt = 8
    """Number of the shared matrices, of hidden x hidden numbers each."""
    normalize: bool = True
    """Scale both ends to length 1 first."""


class ComplexHeadConfig(LinkHeadConfig):
    """ComplEx (Trouillon et al. 2016): score(s, r, t) = Re <h_s, w_r, conj(h_t)>, over complex numbers. Like DistMult,
    but s -> t and t -> s may differ. `model.gnn.hidden` must be even."""

    inverts: ClassVar[bool] = True
    factorizes: ClassVar[bool] = True

    type: Literal["complex"]
    start: Literal["dot", "random"] = "dot"
    """The weights at first. dot: 1, so that the score is a dot product, from which relations learn to differ; random:
    normal, as in the paper, for learnable vectors: from 1 it is a long way to relations that a node does not have to
    itself."""
    normalize: bool = True
    """Scale both ends to length 1 first; false: as in the paper."""


class DistMultHeadConfig(LinkHeadConfig):
    """score(s, r, t) = <h_s, w_r, h_t> (Yang et al. 2015): symmetric, so that it cannot tell s -> t from t -> s."""

    inverts: ClassVar[bool] = True
    factorizes: ClassVar[bool] = True

    type: Literal["distmult"]
    start: Literal["dot", "random"] = "dot"
    """The weights at first. dot: 1, so that the score is a dot product, from which relations learn to differ; random:
    normal, as in the paper, for learnable vectors: from 1 it is a long way to relations that a node does not have to
    itself."""
    normalize: bool = True
    """Scale both ends to length 1 first."""


class DotHeadConfig(LinkHeadConfig):
    """score(s, t) = <h_s, h_t>, the cosine unless `normalize: false`: symmetric, unless `directed`, and the same for
    all relations."""

    inverts: ClassVar[bool] = True

    type: Literal["dot"]
    directed: bool = False
    """Map sources and targets by a matrix each first, so that s -> t and t -> s may differ."""
    normalize: bool = True
    """Scale both ends to length 1 (cosine); pairs well with info_nce."""


class MlpHeadConfig(LinkHeadConfig):
    """score(s, r, t) = v' tanh(A h_s + B h_t + w_r) (Dong et al. 2014): a network with one hidden layer on both ends
    and the relation. Its scores are no inner products, so that scoring all nodes takes longer."""

    inverts: ClassVar[bool] = True

    type: Literal["mlp"]


class RotateHeadConfig(LinkHeadConfig):
    """RotatE (Sun et al. 2019): score(s, r, t) = gamma - ||h_s * r - h_t||. A relation turns each coordinate of the
    source, a complex number, by an angle of its own: it tells symmetric, inverse and composed relations apart. Its
    scores are no inner products, so that scoring all nodes takes longer. `model.gnn.hidden` must be even."""

    inverts: ClassVar[bool] = True

    type: Literal["rotate"]
    norm: Literal["l1", "l2"] = "l1"
    """l1: the sum of the coordinates' moduli, as in the paper; l2: the length of the difference, which takes about as
    long as TransE's."""
    gamma: PositiveFloat = 9.0
    """The score of a target that lies where the turned source does; a softmax (info_nce) does not see it."""
    normalize: bool = True
    """Scale both ends to length 1, so that temperatures mean the same at every width; false: as in the paper."""


class TransEHeadConfig(LinkHeadConfig):
    """TransE (Bordes et al. 2013): score(s, r, t) = gamma - ||h_s + w_r - h_t||. Tells inverse, antisymmetric and
    composed relations apart, but no symmetric ones, and no relation with many targets a source. Its scores are no inner
    products, so that scoring all nodes takes longer."""

    inverts: ClassVar[bool] = True

    type: Literal["transe"]
    norm: Literal["l1", "l2"] = "l2"
    """Sum of absolute differences, or length of the difference."""
    gamma: PositiveFloat = 9.0
    """The score of a target that lies where the relation leads; a softmax (info_nce) does not see it."""
    normalize: bool = False
    """Scale both ends to length 1 first."""


class TwoTowerHeadConfig(LinkHeadConfig):
    """score(s, r, t) = <f(h_s) * w_r, g(h_t)>: sources and targets go through a network each, f and g, which have one
    hidden layer. Targets can be searched by inner product."""

    inverts: ClassVar[bool] = True

    type: Literal["two_tower"]
    normalize: bool = True
    """Scale the outputs of both networks to length 1."""
