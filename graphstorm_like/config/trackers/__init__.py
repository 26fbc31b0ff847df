"""`train.track.trackers`: where numbers of training go besides metrics.jsonl.

Every module here that defines a member of the family is imported: a new one is a new file.
"""

from graphstorm_like.config.trackers.base import Tracked, TrackerConfig
from graphstorm_like.registry import import_modules

__all__ = ["Tracked", "TrackerConfig"]

import_modules(__name__)
