"""Whether this container is well: its server answers, or, where none runs, the program starts. Exit code 0 or 1."""

from __future__ import annotations

import importlib
import os
import sys
import urllib.request

PORT = os.environ.get("GSL_PORT", "8080")


def server_answers() -> bool | None:
    """None: nothing listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ping", timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
    except OSError:
        return None


if __name__ == "__main__":
    answer = server_answers()
    if answer is None:
        answer = importlib.import_module("graphstorm_like") is not None
    sys.exit(0 if answer else 1)
