from __future__ import annotations

from ...inputs.conftest import bert, encoder, store  # noqa: F401
