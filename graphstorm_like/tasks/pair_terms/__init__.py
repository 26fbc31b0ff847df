"""Terms of pairs, one a file, found by the class of their configuration."""

from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm

__all__ = ["PAIR_TERMS", "PairTerm"]
