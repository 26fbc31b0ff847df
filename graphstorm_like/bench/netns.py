"""A machine with no network but its own, as a network namespace: no other job feels what is done to it. Needs root."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence

from graphstorm_like.errors import LaunchError


def ip(*arguments: str) -> None:
    """The command. Raises LaunchError."""
    system("ip", *arguments)


def system(*command: str) -> None:
    """A command that must succeed. Raises LaunchError."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LaunchError(f"{' '.join(command)}: must succeed ({done.stderr.strip()})")


class LonelyMachine:
    """A network namespace with nothing but a loopback of its own, whose packets can be lost and delayed: all hosts that
    a job simulates in it, and nobody else, feel it. Needs root, ip and tc."""

    def __init__(self) -> None:
        self._name = f"gsl-{secrets.token_hex(4)}"
        ip("netns", "add", self._name)
        try:
            self.plug()
        except LaunchError:
            self.close()
            raise

    def command(self, command: Sequence[str]) -> list[str]:
        """A command as it runs there."""
        return ["ip", "netns", "exec", self._name, *command]

    def trouble(self, *what: str) -> None:
        """Let packets suffer as tc's netem has it: 'loss', '1%', 'delay', '20ms'. Nothing: no more."""
        if what:
            system("tc", "-n", self._name, "qdisc", "replace", "dev", "lo", "root", "netem", *what)
        else:
            with contextlib.suppress(LaunchError):  # there was none
                system("tc", "-n", self._name, "qdisc", "del", "dev", "lo", "root")

    def unplug(self) -> None:
        """Let no packet through."""
        ip("-n", self._name, "link", "set", "lo", "down")

    def plug(self) -> None:
        """Let them through again."""
        ip("-n", self._name, "link", "set", "lo", "up")

    def close(self) -> None:
        """Remove it."""
        with contextlib.suppress(LaunchError):
            ip("netns", "del", self._name)


@functools.cache
def why_no_machine() -> str:
    """Why this machine cannot have one within itself; '' when it can."""
    if shutil.which("ip") is None:
        return "needs ip"
    if os.getuid() != 0:
        return "needs root"
    try:
        LonelyMachine().close()
    except (LaunchError, OSError) as err:
        return f"needs network namespaces ({err})"
    return ""


@functools.cache
def why_no_trouble() -> str:
    """Why this machine cannot lose or delay packets of its own; '' when it can."""
    if reason := why_no_machine():
        return reason
    if shutil.which("tc") is None:
        return "needs tc"
    machine = LonelyMachine()
    try:
        machine.trouble("loss", "1%")
    except LaunchError as err:
        return f"needs the kernel's netem ({err})"
    finally:
        machine.close()
    return ""
