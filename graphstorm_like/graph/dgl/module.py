"""The only place where dgl is imported: quietly, on PyTorch, with a helpful message when it is not installed."""

from __future__ import annotations

import importlib
import os
from typing import Any

from graphstorm_like.errors import LaunchError, MissingExtraError


def require_dgl(what: str = "This command") -> Any:
    """The module dgl. what: the command or option that needs it; the message begins with it.

    Raises MissingExtraError when it is not installed, LaunchError when it is installed but does not load: each release
    after 1.1.3 contains libraries for one release of torch.
    """
    # Without this variable dgl asks for a backend on stderr and writes one to ~/.dgl/config.json.
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
