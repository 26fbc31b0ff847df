"""What proves that a process belongs to a job: a token, and with TLS certificates of the job's own authority.

    of a job     token, the authority's certificate, the authority's key       made by the launcher; equal on all hosts
    of a host    token, the authority's certificate, the host's own, its key    made by the host's supervisor

Both are text: a line of hex, then PEM blocks. A line of hex alone is a job without TLS (`launch.tls: false`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r"[0-9a-f]{32,}")
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n?")


@dataclass(frozen=True, slots=True)
class Credentials:
    """authority, certificate: PEM, empty without TLS. key: of the certificate; of the authority in a job's own
    credentials, where there is no other certificate."""

    token: str = field(repr=False)
    authority: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return bool(self.authority)

    @property
    def text(self) -> str:
        """As a file holds them; see `parse`."""
        return "".join([self.token, "\n", self.authority, self.certificate, self.key])

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """Credentials of a job or a host. Raises ValueError."""
        token, _, rest = text.strip().partition("\n")
        if not _TOKEN.fullmatch(token.strip()) or len(token.strip()) % 2:
            raise ValueError("the first line must hold at least 16 bytes in hex")
        blocks = [(match[1], match[0].strip() + "\n") for match in _BLOCK.finditer(rest)]
        certificates = [block for kind, block in blocks if kind == "CERTIFICATE"]
        keys = [block for kind, block in blocks if kind == "PRIVATE KEY"]
        if not blocks and not rest.strip():
            return cls(token.strip())
        if len(certificates) not in (1, 2) or len(keys) != 1 or len(blocks) != len(certificates) + 1:
            raise ValueError(f"certificates and a private key must follow (got {[kind for kind, _ in blocks]})")
        return cls(token.strip(), certificates[0], "".join(certificates[1:]), keys[0])


def server_name(host: int) -> str:
    """What a host's certificate is for: its number in the job, whatever its address."""
    return f"host-{host}.gsl.internal"
