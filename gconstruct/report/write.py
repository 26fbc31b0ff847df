"""report.html and report.json of a graph folder.

They are no part of the graph: not in the hashes of graph.json, nor in its fingerprint. Each file appears complete.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from gconstruct.leaks import read_leaks
from gconstruct.report.findings import find
from gconstruct.report.model import (
    LISTED_NULLS,
    REPORT_HTML,
    REPORT_JSON,
    Construction,
    DroppedExample,
    DroppedRecord,
    GraphReport,
    LeakRecord,
    StepRecord,
    TableRecord,
)
from gconstruct.report.page import page
from gconstruct.report.profile import profile_graph
from gconstruct.report.trace import Trace
from graphstorm_like.files import write_text
from graphstorm_like.graph.schema import GraphManifest, read_manifest

MOST_COLUMNS = 500
"""Of a table whose columns are all in report.json"""


def write_report(folder: Path, manifest: GraphManifest | None = None, trace: Trace | None = None) -> GraphReport:
    """Write report.json and report.html into a graph folder.

    Without a trace the record of construction is kept from the report that is there, if it is of the same graph. Raises
    DataError when the folder is not a complete graph folder, OSError when it cannot be written.
    """
    started = time.perf_counter()
    manifest = read_manifest(folder) if manifest is None else manifest
    report = profile_graph(folder, manifest)
    report.construction = _recorded(folder, report) if trace is None else construction_of(trace)
    report.leaks = _leaks(folder)
    if report.construction is not None:
        for name, node in report.nodes.items():
            node.from_edges = report.construction.created.get(f"nodes.{name}")
    report.findings = find(report)
    if trace is not None:
        report.report_seconds = time.perf_counter() - started
    write_text(folder / REPORT_JSON, report.model_dump_json(indent=1) + "\n")
    write_text(folder / REPORT_HTML, page(report, graph_name(folder)))
    return report


def graph_name(folder: Path) -> str:
    """The folder's name; where it is the usual 'graph', that of the output folder around it."""
    path = folder.resolve()
    return path.parent.name or path.name if path.name == "graph" else path.name


def construction_of(trace: Trace) -> Construction:
    """A trace as report.json has it."""
    steps = [
        StepRecord(
            name=step.name,
            depth=step.depth,
            rows=step.rows,
            seconds=step.seconds,
            cpu_seconds=step.cpu_seconds,
            peak_bytes=step.peak_bytes,
        )
        for step in trace.steps
    ]
    tables = {}
    for key, read in trace.tables.items():
        tables[key] = _table_record(read.files, read.rows, read.bytes, trace.null_counts.get(key, {}))
    dropped = []
    for where, reasons in trace.dropped_rows.items():
        for reason, rows in reasons.items():
            examples = [DroppedExample(file=e.file, row=e.row, value=e.value) for e in rows.examples]
            dropped.append(DroppedRecord(where=where, reason=reason, count=rows.count, examples=examples))
    return Construction(
        seconds=sum(step.seconds for step in steps if step.depth == 0),
        peak_bytes=max((step.peak_bytes for step in steps), default=0),
        steps=steps,
        tables=tables,
        created=trace.created_nodes,
        dropped=dropped,
    )


def _table_record(files: int, rows: int, size: int, nulls: Mapping[str, int]) -> TableRecord:
    """Return the record of a table; of one with very many columns `nulls` holds those with most."""
    record = TableRecord(files=files, rows=rows, bytes=size, nulls=dict(nulls))
    if len(nulls) > MOST_COLUMNS:
        most = sorted(nulls.items(), key=lambda entry: -entry[1])[:LISTED_NULLS]
        record.nulls, record.columns = dict(most), len(nulls)
        record.without_nulls = sum(count == 0 for count in nulls.values())
    return record


def _recorded(folder: Path, report: GraphReport) -> Construction | None:
    """The record of construction in the report that is there."""
    try:
        old = GraphReport.model_validate_json((folder / REPORT_JSON).read_bytes())
    except (OSError, ValueError):  # there is none, or it is of another version
        return None
    return old.construction if old.fingerprint == report.fingerprint else None


def _leaks(folder: Path) -> list[LeakRecord] | None:
    """The findings of the leak guard, if it has looked at this folder."""
    found = read_leaks(folder)
    return None if found is None else [LeakRecord.model_validate(leak.as_json()) for leak in found]
