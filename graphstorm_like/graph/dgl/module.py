"""The one place where dgl is imported: quietly, on PyTorch, with a message that helps when it is not there."""

from __future__ import annotations

import importlib
import os
from typing import Any

from graphstorm_like.errors import LaunchError, MissingExtraError


def require_dgl(what: str = "This command") -> Any:
    """The module dgl. what: who needs it, the beginning of the message.

    Raises MissingExtraError when it is not installed, LaunchError when it is and does not load: releases after 1.1.3
    bring libraries for one release of torch each.
    """
    # Without it dgl asks on stderr for a backend, and writes one to ~/.dgl/config.json.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        dgl = importlib.import_module("dgl")
        importlib.import_module("dgl.distributed")
    except ModuleNotFoundError as err:
        raise MissingExtraError(what, err.name or "dgl", "dgl") from None
    except (ImportError, OSError) as err:
        raise LaunchError(
            f"dgl: must load beside the torch that is installed (got {type(err).__name__}: {err}). "
            "Install the release that does not depend on torch's: pip install 'graphstorm-like[dgl]'"
        ) from err
    return dgl
