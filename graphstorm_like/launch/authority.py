"""A job's own certificate authority, which its launcher makes, and the certificates that hosts get from it.

The authority's key travels with the job's secret to the supervisor of each host, which makes a certificate for its own
processes at each start. Trainers and servers have that one only.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.credentials import Credentials, server_name
from graphstorm_like.launch.host import write_secret

VALID_DAYS = 366
"""Of an authority and all that it signs. A job, or the file of an external scheduler, is made anew before."""
_NAME = "graphstorm-like job"


def new_credentials(tls: bool) -> Credentials:
    """Of a new job: a token of 32 random bytes and, with TLS, an authority of its own."""
    token = secrets.token_hex(32)
    if not tls:
        return Credentials(token)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{_NAME} {secrets.token_hex(8)}")
    today = datetime.now(UTC)
    builder = _builder(subject, subject, key.public_key(), today + timedelta(days=VALID_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return Credentials(token, _pem(builder, key), "", _key_pem(key))


def make_secret_file(path: Path) -> None:
    """A new file with the secret of a new job, closed to others. Raises LaunchError."""
    try:
        write_secret(path, new_credentials(tls=True).text)
    except OSError as err:
        raise LaunchError(f"{path}: must be a file that can be made ({err})") from None


def host_credentials(job: Credentials, host: int) -> Credentials:
    """Of the processes of a host: with TLS a certificate of its own, for as long as the authority's. Raises
    LaunchError."""
    if not job.encrypted:
        return job
    try:
        authority = x509.load_pem_x509_certificate(job.authority.encode())
        authority_key = load_pem_private_key(job.key.encode(), None)
        if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"its key is {type(authority_key).__name__}")
    except ValueError as err:
        raise LaunchError(
            f"the job's secret: must hold a certificate authority ({err}). Make it with: gsl secret"
        ) from None
    if authority.not_valid_after_utc < datetime.now(UTC) or authority.public_key() != authority_key.public_key():
        raise LaunchError(
            f"the job's secret: must hold a valid certificate authority and its key (it ends on "
            f"{authority.not_valid_after_utc:%Y-%m-%d}). Make it anew with: gsl secret"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    name = server_name(host)
    builder = _builder(_name(name), authority.subject, key.public_key(), authority.not_valid_after_utc)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(both, critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return Credentials(job.token, job.authority, _pem(builder, authority_key), _key_pem(key))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, end: datetime
) -> x509.CertificateBuilder:
    """A certificate that is valid from yesterday on, for the clocks of hosts differ."""
    builder = x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    return builder.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(end)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(builder: x509.CertificateBuilder, signing_key: ec.EllipticCurvePrivateKey) -> str:
    pem: bytes = builder.sign(signing_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return pem.decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()
