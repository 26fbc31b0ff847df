"""`launch.on: external`"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.launchers.base import LaunchConfig, Port


def _check_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("must be an IP address") from None
    return value


class ExternalLaunchConfig(LaunchConfig):
    """A scheduler of your own that starts `gsl host PIPELINE --index I` on each machine."""

    on: Literal["external"]
    addresses: list[Annotated[str, AfterValidator(_check_address)]] = []
    """Private IP address of each host, in the order of their indices; or given with `gsl host --addresses`."""
    port: Port = 29_500
    """First of the ports that are used, on every machine."""

    def host_names(self) -> tuple[str, ...]:
        """The addresses of the configuration, when it names them."""
        return tuple(self.addresses) or super().host_names()

    @model_validator(mode="after")
    def _an_address_a_host(self) -> ExternalLaunchConfig:
        if self.addresses and len(self.addresses) != self.hosts:
            raise KeyedError(
                "addresses", f"must be one for each of launch.hosts, {self.hosts} (got {len(self.addresses)})"
            )
        return self
