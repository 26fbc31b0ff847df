"""Why the graph servers of this platform do not speak DGL's RPC: bytes of a stranger end a server of DGL 1.1.3.

Starts a DGL server of its own on the loopback address, with a graph of a few nodes, connects to it as anybody in the
network could, sends 200 kB of random bytes and prints how the server fared. It probes nothing but its own server.

    python benchmarks/dgl_security_probe.py            # tensorpipe, then socket

Needs dgl 1.1.3: pip install 'graphstorm-like[dgl]'. Takes about 10 seconds.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BYTES, PATIENCE_S = 200_000, 8.0
NAME = f"gsl-probe-{os.getpid()}"
SERVER = "import sys, dgl; dgl.distributed.initialize(sys.argv[1], net_type=sys.argv[2])"


def write_graph(folder: Path) -> Path:
    """A ring of ten nodes in one partition; its configuration."""
    import torch

    from graphstorm_like.graph.dgl.module import require_dgl

    dgl = require_dgl("The probe")
    graph = dgl.graph((torch.arange(10), (torch.arange(10) + 1) % 10))
    with contextlib.redirect_stdout(io.StringIO()):
        dgl.distributed.partition_graph(graph, NAME, 1, str(folder))
    return folder / f"{NAME}.json"


def connect(port: int) -> socket.socket:
    """A connection, as soon as the server listens."""
    for _ in range(300):
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        time.sleep(0.1)
    raise SystemExit("the server does not listen")


def fate(server: subprocess.Popen[bytes]) -> str:
    """How the server is, after some time for it to die."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = server.wait(PATIENCE_S)
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return "still runs"


def probe(net_type: str, folder: Path, configuration: Path) -> str:
    """Start a server that waits for one client, be a stranger to it, and tell what became of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    addresses = folder / "ip_config.txt"
    addresses.write_text(f"127.0.0.1 {port}\n")
    settings = {
        "DGLBACKEND": "pytorch", "DGL_ROLE": "server", "DGL_DIST_MODE": "distributed", "DGL_SERVER_ID": "0",
        "DGL_NUM_SERVER": "1", "DGL_NUM_CLIENT": "1", "DGL_CONF_PATH": str(configuration), "DGL_GRAPH_FORMAT": "csc",
        "DGL_IP_CONFIG": str(addresses), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    log = folder / f"{net_type}.log"
    with open(log, "wb") as output:
        command = [sys.executable, "-c", SERVER, str(addresses), net_type]
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=subprocess.STDOUT)
    try:
        with connect(port) as stranger, contextlib.suppress(OSError):
            stranger.sendall(os.urandom(BYTES))
            told = fate(server)
    finally:
        server.kill()
        server.wait()
        for leftover in Path("/dev/shm").glob(f"{NAME}*"):  # a server that is aborted leaves its shared memory
            leftover.unlink()
    last = [line for line in log.read_text(errors="replace").splitlines() if "what():" in line or "Error" in line]
    return f"{net_type}: the server {told}" + (f" ({last[-1].strip()})" if last else "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        ring = write_graph(Path(temporary))
        for net_type in ("tensorpipe", "socket"):
            print(probe(net_type, Path(temporary), ring), flush=True)
