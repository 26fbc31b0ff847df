"""Construction alone, for clusters where nothing else is installed: no torch, no command `gsl`.

    python -m gconstruct.engines.spark pipeline.yaml [key=value ...]
    python -m gconstruct.engines.spark --zip FOLDER        packages for spark-submit --py-files

`graph.engine` is spark, whatever the YAML says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gconstruct import build_graph
from gconstruct.engines.spark.ship import zip_packages
from graphstorm_like.config.load import load_pipeline
from graphstorm_like.errors import GslError


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status; what is wrong goes to stderr."""
    parser = argparse.ArgumentParser(prog="gconstruct.engines.spark", description="Tables -> graph folder, with Spark.")
    parser.add_argument("pipeline", nargs="?", type=Path, help="the pipeline's YAML file")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values that replace the YAML's")
    parser.add_argument("--zip", type=Path, metavar="FOLDER", help="write the packages for spark-submit --py-files")
    options = parser.parse_args(arguments)
    if options.zip is not None:
        options.zip.mkdir(parents=True, exist_ok=True)
        print(*zip_packages(options.zip))
        return 0
    if options.pipeline is None:
        parser.error("name a pipeline's YAML file")
    try:
        pipeline = load_pipeline(options.pipeline, [*options.overrides, "graph.engine=spark"])
        build_graph(pipeline.graph, progress=_say)
    except GslError as err:
        print(f"error: {err}", file=sys.stderr)
        return err.exit_code
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
