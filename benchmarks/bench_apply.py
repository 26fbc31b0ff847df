"""A model applied to nodes that were held out of construction: scores as in a graph that holds them, and seconds.

    python benchmarks/bench_apply.py training_scripts/debian_packages/pipeline.yaml package section --work FOLDER

Held-out rows (of the label's test split, evenly spread) are taken out of the node table and of all edges. The pipeline
runs on the rest; its model is packed and applied to the held-out rows, attached to the graph. Then all tables, without
labels, are constructed as one graph with the model's state, and the model scores that: both must agree.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from gconstruct import build_graph
from graphstorm_like.config.load import build_graph_config, load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.launch.stages import run_pipeline


def held_out(table: pa.Table, id_column: str, split_column: str, rows: int) -> pa.Array:
    """Ids of some rows of the test split."""
    test = table.filter(pc.equal(table[split_column], "test"))[id_column].combine_chunks()
    return test.take(pa.array(np.unique(np.linspace(0, len(test) - 1, rows).astype(np.int64))))


def split_tables(pipeline: Pipeline, node_type: str, held: pa.Array, work: Path) -> dict[str, Any]:
    """Write the tables without the held-out rows to `work`/kept; returns the rows taken out, as `Model.predict` takes
    them."""
    base, kept = Path(str(pipeline.graph.base)), work / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    taken: dict[str, Any] = {"nodes": {}, "edges": {}}
    node = pipeline.graph.nodes[node_type]
    for file in node.files:
        table = pq.read_table(base / file)
        is_held = pc.is_in(table[node.id], held)
        pq.write_table(table.filter(pc.invert(is_held)), kept / file)
        taken["nodes"][node_type] = table.filter(is_held)
    for edge in pipeline.graph.edges:
        for file in edge.files:
            table = pq.read_table(base / file)
            touches = pa.array(np.zeros(len(table), dtype=bool))
            for end, column in ((edge.source, edge.source_id), (edge.target, edge.target_id)):
                if end == node_type:
                    touches = pc.or_(touches, pc.is_in(table[column], held).combine_chunks())
            pq.write_table(table.filter(pc.invert(touches)), kept / file)
            taken["edges"][edge.edge_type] = table.filter(touches)
    return taken


def main() -> None:
    """Print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pipeline", "node_type", "label"):
        parser.add_argument(name)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    given = load_pipeline(options.pipeline, options.overrides)
    node = given.graph.nodes[options.node_type]
    label = node.labels[options.label]
    whole = pa.concat_tables(pq.read_table(Path(str(given.graph.base)) / file) for file in node.files)
    held = held_out(whole, str(node.id), label.split.column, options.rows)  # type: ignore[attr-defined]
    taken = split_tables(given, options.node_type, held, options.work)

    data = yaml.safe_load(Path(options.pipeline).read_text(encoding="utf-8"))
    data["output"], data["cache"] = str(options.work / "run"), str(options.work / "cache")
    data["graph"]["base"] = str(options.work / "kept")
    (options.work / "pipeline.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    overrides = [each for each in options.overrides if not each.startswith("graph.base=")]
    pipeline = load_pipeline(options.work / "pipeline.yaml", overrides)
    run_pipeline(pipeline)
    model = Model.load(pack(pipeline.output, options.work / "model"))

    cache = str(options.work / "cache")
    unlabelled = {name: table.drop_columns([label.column]) for name, table in taken["nodes"].items()}
    started, cpu = time.monotonic(), time.process_time()
    applied = model.predict(
        {"nodes": unlabelled, "edges": taken["edges"]}, attach=str(pipeline.graph.path), unknown="mean", cache=cache
    )
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu

    tables = given.graph.model_dump(mode="json")
    tables |= {"path": str(options.work / "whole"), "like": str(model.folder.graph), "base": str(given.graph.base)}
    for each in tables["nodes"].values():
        each["labels"] = {}
    build_graph(build_graph_config(tables, "all tables"))
    graph = str(options.work / "whole")
    inside = model.predict(graph, held, unknown="mean", cache=cache)

    order = pc.index_in(applied["id"], inside["id"].combine_chunks())
    inside = inside.take(order)
    first, second = (
        np.stack([np.array(list(row.values())) for row in t["probabilities"].to_pylist()]) for t in (applied, inside)
    )
    truth = whole[label.column].take(pc.index_in(applied["id"], whole[str(node.id)].combine_chunks()))
    accuracy = pc.mean(pc.equal(applied["prediction"], truth).cast(pa.float64())).as_py()
    same = pc.mean(pc.equal(applied["prediction"], inside["prediction"]).cast(pa.float64())).as_py()
    print(f"{len(applied):,} held-out nodes, attached to {pipeline.graph.path}: {seconds:.1f} s, {cpu:.1f} CPU s")
    print(f"accuracy {accuracy:.4f}; the same prediction as within the whole graph: {same:.4%} of them")
    print(f"largest difference of a probability: {np.abs(first - second).max():.2e}")


if __name__ == "__main__":
    main()
