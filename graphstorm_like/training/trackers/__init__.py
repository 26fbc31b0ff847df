"""Where numbers of training go besides metrics.jsonl: one file a tracker."""

from graphstorm_like.training.trackers.base import TRACKERS, RunTracker, TrackedRun

__all__ = ["TRACKERS", "RunTracker", "TrackedRun"]
