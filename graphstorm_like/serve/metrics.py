"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from graphstorm_like.errors import MissingExtraError
from graphstorm_like.serve.pool import Pool

BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """paths: those that get a label of their own; one a path that somebody tries would fill the memory."""

    def __init__(self, paths: Collection[str]) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            raise MissingExtraError("gsl serve", "prometheus-client", "serve") from None
        self._paths, self._registry = frozenset(paths), CollectorRegistry()
        to: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter("gsl_requests", "Requests by path and status.", ["path", "status"], **to)
        self._seconds = Histogram("gsl_request_seconds", "Time to the answer by path.", ["path"], **to)
        self._batches = Histogram("gsl_batch_questions", "Questions in a worker's batch.", buckets=BATCHES, **to)
        self._work = Counter("gsl_work_seconds", "Time that workers have worked.", **to)
        self._deaths = Counter("gsl_worker_deaths", "Workers that died and were replaced.", **to)
        self._cut = Counter("gsl_connections_cut", "Connections that were cut off, by why.", ["reason"], **to)
        self._ready = Gauge("gsl_workers_ready", "Workers that can answer.", **to)
        self._queued = Gauge("gsl_questions_queued", "Questions that no worker has yet.", **to)

    def watch(self, pool: Pool) -> None:
        """Ask a pool for its state whenever the metrics are read."""
        self._ready.set_function(lambda: pool.ready)
        self._queued.set_function(lambda: pool.queued)

    def request(self, path: str, status: int, seconds: float) -> None:
        """An answered request."""
        known = path if path in self._paths else "other"
        self._requests.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)

    def batch(self, size: int, seconds: float) -> None:
        """A batch that a worker has answered."""
        self._batches.observe(size)
        self._work.inc(seconds)

    def death(self) -> None:
        """A worker died."""
        self._deaths.inc()

    def cut(self, reason: str) -> None:
        """A connection was cut off."""
        self._cut.labels(reason).inc()

    def text(self) -> tuple[bytes, str]:
        """All metrics, and their content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        content: Any = generate_latest(self._registry)
        return content, CONTENT_TYPE_LATEST
