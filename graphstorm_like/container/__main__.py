"""See the package. Every end is an exit status and, unless it is a good one, a reason in the file that SageMaker shows:
output/failure of a training job, output/message of a processing job."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from graphstorm_like.container.folders import ml_root, write_reason
from graphstorm_like.errors import GslError, LaunchError
from graphstorm_like.training.stopping import Stopped, stop_on_signals

BUG = 70
"""Exit status as in sysexits.h."""
_REASON_FILES = {"train": "output/failure", "processing": "output/message"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; that of our errors; 128 + a signal's number, without a reason, when the job was stopped."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    root, what = ml_root(), given[0] if given else ""
    # From the beginning, for the first process of a container gets no signal that it has no handler for.
    try:
        with stop_on_signals():
            _run(root, what, given[1:])
    except Stopped as stopped:
        print("stopped; the job goes on from the last resume point when it starts again", file=sys.stderr, flush=True)
        return 128 + stopped.number
    except GslError as error:
        return _failed(root, what, str(error), error.exit_code)
    except Exception as error:
        traceback.print_exc()
        return _failed(root, what, f"{type(error).__name__}: {error}", BUG)
    return 0


def _run(root: Path, what: str, rest: list[str]) -> None:
    if what == "train":
        from graphstorm_like.container.training import train

        train(root)
    elif what == "processing" and rest:
        flags = {"--fresh", "--quiet"} & set(rest)
        told = [argument for argument in rest[1:] if argument not in flags]
        if rest[0] == "apply":
            from graphstorm_like.container.applying import apply

            apply(root, told, "--quiet" in flags)
            return
        from graphstorm_like.container.processing import process

        process(root, rest[0].split(","), told, "--fresh" in flags, "--quiet" in flags)
    else:
        raise LaunchError(
            f"arguments: must be 'train', or 'processing' and stages or 'apply' (got {' '.join([what, *rest])!r})"
        )


def _failed(root: Path, what: str, reason: str, code: int) -> int:
    print(f"error: {reason}", file=sys.stderr, flush=True)
    write_reason(root / _REASON_FILES.get(what, "output/failure"), reason)
    return code


if __name__ == "__main__":
    sys.exit(main())
