"""Stores behind URLs, by fsspec: s3://, gs://, http:// and what else has a package. No request waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_S3_PATIENCE = {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 0}}
"""Seconds of one attempt of botocore; s3fs itself makes five of them."""
_WITHOUT_FOLDERS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci")
"""Schemes whose objects need no folder. Asked for one, some packages make a missing (misspelt) bucket."""


def store_of(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path within it. Raises ImportError when its package is not installed."""
    import fsspec

    options: dict[str, Any] = {}
    if url.startswith(("s3://", "s3a://")):
        chosen = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
        options["config_kwargs"] = {**_S3_PATIENCE, **chosen}
    fs, path = fsspec.core.url_to_fs(url, **options)
    return fs, path


def upload(file: str, url: str) -> None:
    """A local file to a URL, in a folder that need not be there yet."""
    fs, path = store_of(url)
    if url.partition("://")[0] not in _WITHOUT_FOLDERS:
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.put_file(file, path)


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
