"""Which rows are for training, validation and test: one operator a way of splitting, see `base`."""

from gconstruct.splits.base import EDGE_SEPARATOR, SPLIT_OPERATORS, HashedIds, Split, SplitRows, split_counts, split_of

__all__ = ["EDGE_SEPARATOR", "SPLIT_OPERATORS", "HashedIds", "Split", "SplitRows", "split_counts", "split_of"]
