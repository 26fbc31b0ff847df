"""A job's certificate authority: what it signs, for whom, and what is no authority of the job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.credentials import Credentials, server_name
from graphstorm_like.launch import authority
from graphstorm_like.launch.authority import host_credentials, new_credentials

JOB = new_credentials(tls=True)


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_a_hosts_certificate_is_signed_for_that_host_only() -> None:
    own = host_credentials(JOB, 3)
    made, root = certificate(own.certificate), certificate(JOB.authority)
    made.verify_directly_issued_by(root)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [server_name(3)]
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    uses = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert made.not_valid_after_utc == root.not_valid_after_utc
    assert own.key not in (JOB.key, host_credentials(JOB, 3).key), "a new key at each start"
    assert JOB.key not in own.text


def test_another_verifier_accepts_it_too() -> None:
    """cryptography's own, which follows the Web's rules."""
    own = host_credentials(JOB, 0)
    verifier = PolicyBuilder().store(Store([certificate(JOB.authority)]))
    verifier.build_server_verifier(x509.DNSName(server_name(0))).verify(certificate(own.certificate), [])
    verifier.build_client_verifier().verify(certificate(own.certificate), [])
    with pytest.raises(x509.verification.VerificationError):
        verifier.build_server_verifier(x509.DNSName(server_name(1))).verify(certificate(own.certificate), [])
    other = Store([certificate(new_credentials(tls=True).authority)])
    with pytest.raises(x509.verification.VerificationError):
        PolicyBuilder().store(other).build_client_verifier().verify(certificate(own.certificate), [])


def test_as_text_and_back() -> None:
    for one in (JOB, host_credentials(JOB, 0), new_credentials(tls=False)):
        assert Credentials.parse(one.text) == one
        assert Credentials.parse(one.text.strip()) == one
        assert one.token not in repr(one)
        assert "PRIVATE" not in repr(one)
    assert JOB.token != new_credentials(tls=True).token
    assert not new_credentials(tls=False).encrypted


@pytest.mark.parametrize(
    "text",
    ["", "ab" * 15, "ab" * 32 + "c", "xy" * 32, "ab" * 32 + "\nmore", JOB.authority, f"{JOB.token}\n{JOB.authority}",
     JOB.text + JOB.key, f"{JOB.token}\n{JOB.key}", JOB.text[:-100]],
)  # fmt: skip
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="must (hold|follow)"):
        Credentials.parse(text)


def test_what_is_no_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = JOB.authority.replace("MII", "AAA", 1)
    for job in (replace(JOB, key=new_credentials(tls=True).key), replace(JOB, authority=broken), replace(JOB, key="")):
        with pytest.raises(LaunchError, match="the job's secret: must hold a .*gsl secret"):
            host_credentials(job, 0)
    monkeypatch.setattr(authority, "VALID_DAYS", 0)
    old = new_credentials(tls=True)
    assert certificate(old.authority).not_valid_after_utc < datetime.now(UTC) + timedelta(seconds=1)
    with pytest.raises(LaunchError, match="it ends on .*Make it anew"):
        host_credentials(old, 0)
