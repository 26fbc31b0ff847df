"""What the hosts of a training job need to find and to recognise each other: addresses, and the job's secret."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.host import own_address, resolve, write_secret

NAME_SECONDS = 300.0
"""How long a host waits for the names of the others, which may start later."""


def addresses_of(names: Sequence[str], index: int, seconds: float = NAME_SECONDS) -> tuple[str, ...]:
    """Private addresses of the hosts, in their order. Raises LaunchError when a name has none within some time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = list(resolve(names))
            break
        except LaunchError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
    if len(found) > 1 and found[index].startswith("127."):  # a machine often calls itself so
        found[index] = own_address(found[index - 1])
    return tuple(found)


@contextlib.contextmanager
def closed_copy(channel: Path | None) -> Iterator[Path | None]:
    """The job's secret in a file that others cannot read, which SageMaker's copy may not be; gone afterwards."""
    if channel is None:
        yield None
        return
    try:
        secret = (channel / "secret").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise LaunchError(
            f"{channel / 'secret'}: must hold the job's secret, as gsl launch writes it ({err})"
        ) from None
    with tempfile.TemporaryDirectory(prefix="gsl-secret-") as folder:
        os.chmod(folder, 0o700)
        write_secret(Path(folder) / "secret", secret)
        yield Path(folder) / "secret"
