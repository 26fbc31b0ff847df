"""`task.metrics:` numbers that say how good predictions are, and which way each is better.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.metrics.base import MetricConfig, MetricsOf, check_metrics, selected_metric, selects
from graphstorm_like.registry import import_modules

__all__ = ["MetricConfig", "MetricsOf", "check_metrics", "selected_metric", "selects"]

import_modules(__name__)
