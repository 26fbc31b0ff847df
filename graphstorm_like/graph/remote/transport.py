"""Arrow Flight as it is used here: clients and servers of a job, with mutual TLS where its credentials have
certificates, and what Flight's errors mean."""

from __future__ import annotations

import hmac
import os
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC prints a line for each stranger; errors are raised anyway

import pyarrow as pa
from pyarrow import flight

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.credentials import Credentials, server_name

ERRORS = (pa.ArrowException, flight.FlightError, OSError)
"""What calls may raise."""
_HEADER = "authorization"
_CHANNEL = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
"""Connections are not shared, and are tried again after at most a second: a network that is back is noticed at once. An
attempt, handshake included, takes 5 s at most."""


def new_client(address: tuple[str, int], host: int, credentials: Credentials) -> flight.FlightClient:
    """A client of a host's server; it connects at its first call."""
    if not credentials.encrypted:
        return flight.FlightClient(_location(address, credentials), generic_options=_CHANNEL)
    return flight.FlightClient(
        _location(address, credentials),
        tls_root_certs=credentials.authority.encode(),
        cert_chain=credentials.certificate.encode(),
        private_key=credentials.key.encode(),
        override_hostname=server_name(host),
        generic_options=_CHANNEL,
    )


def call_options(credentials: Credentials, seconds: float) -> flight.FlightCallOptions:
    """Of one call: the token, and the deadline of all of it."""
    return flight.FlightCallOptions(timeout=seconds, headers=[(_HEADER.encode(), credentials.token.encode())])


def is_refusal(error: BaseException) -> bool:
    """Whether the other side is of another job, so that another try is no use."""
    text = str(error).lower()
    return isinstance(error, flight.FlightUnauthenticatedError) or "handshake failed" in text or "certificate" in text


def is_lost(error: BaseException) -> bool:
    """Whether a connection broke, and another may be made: the server's port still listens, or its network is away."""
    return isinstance(error, flight.FlightUnavailableError) and "connection refused" not in str(error).lower()


def is_late(error: BaseException) -> bool:
    """Whether a call's deadline has passed: before the answer began, or in the middle of it."""
    return isinstance(error, flight.FlightTimedOutError) or "deadline exceeded" in str(error).lower()


def reason(error: BaseException) -> str:
    """An error in one line, without gRPC's internal details."""
    text = str(error).partition(". gRPC client debug context")[0].partition(". Client context")[0]
    return " ".join(text.partition("with message: ")[2].split() or text.split())


class _Token(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Refuses calls without the job's token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def start_call(self, info: Any, headers: dict[str, list[Any]]) -> None:
        """See ServerMiddlewareFactory."""
        given = (headers.get(_HEADER) or [""])[0]
        if not hmac.compare_digest(given.encode() if isinstance(given, str) else given, self._token):
            raise flight.FlightUnauthenticatedError("the token is not this job's")


class Service(flight.FlightServerBase):  # type: ignore[misc]
    """A Flight server that listens once it is made. Raises LaunchError when it cannot."""

    def __init__(self, address: tuple[str, int], credentials: Credentials) -> None:
        options: dict[str, Any] = {}
        if credentials.encrypted:
            options["tls_certificates"] = [(credentials.certificate.encode(), credentials.key.encode())]
            options |= {"verify_client": True, "root_certificates": credentials.authority.encode()}
        try:
            super().__init__(
                _location(address, credentials), middleware={"token": _Token(credentials.token)}, **options
            )
        except (*ERRORS, OverflowError) as err:
            raise LaunchError(
                f"graph server {address[0]}:{address[1]}: must be able to listen there ({reason(err)})"
            ) from None


def _location(address: tuple[str, int], credentials: Credentials) -> str:
    ip, port = address
    return f"grpc{'+tls' if credentials.encrypted else ''}://{f'[{ip}]' if ':' in ip else ip}:{port}"
