"""How `gsl` ends when something goes wrong: a message and an exit code, never a bare traceback."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from graphstorm_like.errors import GslError

BUG, NO_MEMORY, FILE_TROUBLE = 70, 71, 74
"""Exit codes as in sysexits.h: a bug of ours; too little memory; the system refused a file."""
TRACEBACK = "GSL_TRACEBACK"
_ADVICE = {
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Free space there, or ask for a larger quota",
    errno.EACCES: "Check its permissions",
    errno.EPERM: "Check its permissions",
    errno.EROFS: "Choose a folder that can be written to",
    errno.ENOENT: "Was it removed while the command ran?",
    errno.EMFILE: "Raise the limit of open files: ulimit -n 65536",
    errno.EIO: "The disk or the network that it lies on may be failing",
    errno.ESTALE: "The network file system has lost it: run again",
}


@contextmanager
def with_messages() -> Iterator[None]:
    """The last handler of errors. Sets the exit status: that of our own errors, or one that fits the cause."""
    try:
        yield
    except GslError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        _end(f"{os_error_text(error)}{_keep_traceback()}", FILE_TROUBLE)
    except Exception as error:
        what = str(error).strip().splitlines()
        if _is_short_of_memory(error):
            details = f" ({what[0][:300]})" if what else ""
            _end(
                f"memory: must suffice for this command{details}. Use a machine with more, a smaller train.batch_size "
                "or infer.batch_size, or more partitions",
                NO_MEMORY,
            )
        reason = f"{type(error).__name__}: {what[0][:300]}" if what else type(error).__name__
        _end(f"gsl failed where it should not have: {reason}{_keep_traceback()}. Please report it", BUG)


def _is_short_of_memory(error: Exception) -> bool:
    """Python's and numpy's errors, and those of torch, which is not imported to ask for its class."""
    is_torchs = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or is_torchs


def os_error_text(error: OSError) -> str:
    """'<path>: <what the system says> (ENOSPC). <what to do>'"""
    places = [os.fsdecode(p) for p in (error.filename, error.filename2) if isinstance(p, str | bytes)]
    name = errno.errorcode.get(error.errno, "") if error.errno else ""
    reason = error.strerror or str(error) or type(error).__name__
    where = " -> ".join(places) or "a file or connection"
    text = f"{where}: {reason}"
    if name:
        text += f" ({name})"
    advice = _ADVICE.get(error.errno or 0)
    return text if advice is None else f"{text}. {advice}"


def _keep_traceback() -> str:
    """Write the traceback of the error that is being handled into a file; returns a sentence that names the file."""
    text = traceback.format_exc()
    if os.environ.get(TRACEBACK):
        typer.echo(text, err=True)
        return ""
    try:
        prefix = f"gsl-error-{time.strftime('%Y%m%d-%H%M%S')}-"
        with tempfile.NamedTemporaryFile("w", prefix=prefix, suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(f"gsl {' '.join(sys.argv[1:])}\n\n{text}")
        return f". The traceback is in {file.name} (and is shown with {TRACEBACK}=1)"
    except OSError:  # the disk may be what is wrong
        return f". {TRACEBACK}=1 shows the traceback"


def _end(message: str, code: int) -> NoReturn:
    if os.environ.get(TRACEBACK) and code not in (BUG, FILE_TROUBLE):  # shown already
        typer.echo(traceback.format_exc(), err=True)
    typer.secho(f"error: {message}", fg="red" if sys.stderr.isatty() else None, err=True)
    raise SystemExit(code) from None
