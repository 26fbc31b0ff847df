"""Stores behind URLs, by fsspec: s3://, gs://, http:// and what else has a package. No request waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_S3_PATIENCE = {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 0}}
"""Seconds of one attempt of botocore; s3fs itself makes five of them."""


def store_of(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path within it. Raises ImportError when its package is not installed."""
    import fsspec

    options: dict[str, Any] = {}
    if url.startswith(("s3://", "s3a://")):
        chosen = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
        options["config_kwargs"] = {**_S3_PATIENCE, **chosen}
    fs, path = fsspec.core.url_to_fs(url, **options)
    return fs, path


@contextmanager
def store_errors() -> Iterator[None]:
    """Errors of a store's own package as OSError, which they need not be: no credentials, no answer in time."""
    try:
        yield
    except (OSError, ValueError, ImportError):
        raise
    except Exception as err:
        kind = type(err).__module__.partition(".")[0]
        if kind in ("builtins", "pyarrow", "gconstruct", "graphstorm_like"):
            raise
        raise OSError(f"{type(err).__name__}: {err}") from err
