"""Measured sampling over partitions as a table, and what the cost model says of the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from bench_sampling import ANY
from cost_model import Measured, elsewhere, fit, remote_shares, traffic
from measure import table


def sampling_table(runs: Sequence[Measured]) -> Iterator[str]:
    """Rates, traffic and CPU seconds a batch; below it what the cost model, fitted to all but the most partitions, says
    of these."""
    head = ["", "edges/s", "edges/cpu s", "rows/s", "rows/cpu s", "remote", "messages", "MB", "client cpu ms", "server"]
    rows = []
    for run in runs:
        of = run.traffic
        rates = (
            run.batch.edges / run.wall[0],
            run.batch.edges / (run.client_cpu[0] + run.server_cpu[0]),
            run.batch.inputs / run.wall[1],
            run.batch.inputs / (run.client_cpu[1] + run.server_cpu[1]),
        )
        share = f"{100 * run.remote.inputs / run.batch.inputs:.1f}%"
        cpu = f"{1000 * sum(run.client_cpu):.1f}", f"{1000 * sum(run.server_cpu):.1f}"
        spoken = f"{sum(of.messages):.1f}", f"{sum(of.bytes) / 1e6:.2f}"
        rows.append([run.name, *(f"{r:,.0f}" for r in rates), share, *spoken, *cpu])
    yield from table(head, rows)
    mean = runs[0].batch
    yield (
        f"A batch: {mean.edges:,.0f} edges, {mean.inputs:,.0f} input rows of {mean.input_bytes / mean.inputs:,.0f} "
        "bytes (means). remote: share of the input rows. Messages, bytes: both ways. CPU: of sampling and fetch"
    )
    yield from _check(runs)


def _check(runs: Sequence[Measured]) -> Iterator[str]:
    most = max(run.partitions for run in runs)
    known = [run for run in runs if run.partitions < most]
    if len(known) < 3:  # one partition, and two runs over several
        return
    costs = fit(known)
    yield ""
    yield f"cost model, fitted to the runs of fewer than {most} partitions: " + json.dumps(dataclasses.asdict(costs))
    rows = []
    for run in runs:
        remote = run.remote
        if run.name.endswith(ANY):  # here the model also says how much is remote
            remote = elsewhere(run.batch, remote_shares(len(run.batch.layers), run.partitions))
        of = traffic(remote, run.partitions, run.edge_types, costs.header)
        said = sum(of.bytes) / 1e6, 1000 * costs.client(run.batch, remote, of), 1000 * costs.server(of)
        was = sum(run.traffic.bytes) / 1e6, 1000 * sum(run.client_cpu), 1000 * sum(run.server_cpu)
        rows.append([run.name, *(f"{x:.2f}" for pair in zip(said, was, strict=True) for x in pair)])
    head = ["", "MB: said", "was", "client cpu ms: said", "was", "server cpu ms: said", "was"]
    yield from table(head, rows)
