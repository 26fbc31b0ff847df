"""What benchmarks share: clocks, peak memory, tables, and the command line of those that take a pipeline."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from graphstorm_like.config import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import GslError
from graphstorm_like.launch.show.table import table

__all__ = ["Clock", "exit_with_message", "peak_rss_mb", "pipeline_of", "pipeline_parser", "table"]


def pipeline_parser(description: str) -> argparse.ArgumentParser:
    """A parser of `PIPELINE [KEY=VALUE]...`, as the `gsl` verbs take them; options may be added."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("pipeline", type=Path, help="the pipeline's YAML file")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values that replace the YAML's")
    return parser


def pipeline_of(options: argparse.Namespace) -> Pipeline:
    """The checked pipeline that the parsed command line names."""
    return load_pipeline(options.pipeline, options.overrides)


def exit_with_message(main: Callable[[Sequence[str]], None]) -> None:
    """Run a script's `main` on the command line's arguments: errors of the library are a line, not a traceback."""
    try:
        main(sys.argv[1:])
    except GslError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def peak_rss_mb() -> float:
    """VmHWM belongs to this program alone; getrusage would also remember the size of the parent before exec."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Wall and CPU seconds of this process since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of all threads."""
        return time.process_time() - self._cpu
