"""Several categories per row -> ones in their columns."""

from __future__ import annotations

from gconstruct.transforms.base import TRANSFORMS
from gconstruct.transforms.categories import Categories, CategoryTransform
from gconstruct.values import Source
from graphstorm_like.config.features.multi_hot import MultiHotFeature


@TRANSFORMS.register(MultiHotFeature)
class MultiHotTransform(CategoryTransform[MultiHotFeature]):
    """Lists, or strings that are split at the separator. Blanks around categories and empty ones are ignored."""

    def __init__(self, config: MultiHotFeature) -> None:
        super().__init__(config)
        self.use = "multi_hot" if config.separator is None else "separated"

    def read(self, source: Source) -> Categories:
        """The categories of all rows, one after another."""
        return Categories.of_lists(source.values, self.config.separator)
