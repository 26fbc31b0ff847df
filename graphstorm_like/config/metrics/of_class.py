"""What metrics have in common that are of each class against the rest."""

from __future__ import annotations

from graphstorm_like.config.metrics.base import MetricConfig


class OfClassConfig(MetricConfig):
    """A metric that may be of one class alone."""

    of_class: str | None = None
    """The class whose number it is, by its name: of two classes that which is looked for; null: the mean over
    classes. It may stand several times in a list, of other classes."""

    @property
    def name(self) -> str:
        """roc_auc, or roc_auc:<class>"""
        return self.type if self.of_class is None else f"{self.type}:{self.of_class}"
