"""Certificates and handshakes: each fault minted, served by a real PostgreSQL, and named."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from registry.verdict import Verdict
from tests.lab.certificates import Authority, Certificate
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PostgreSQL

CONFIG, UNREACHABLE, UNSUPPORT, FINE = "ConfigError", "Unreachable", "Unsupport", "Connectable"
NAME = "tls.lab.test"


@pytest.fixture(scope="module")
def good(lab: Lab) -> PostgreSQL:
    return lab.postgresql(tls=lab.ca.issue(NAME))


@pytest.fixture(scope="module")
def other(lab: Lab) -> Authority:
    return Authority(lab.network.directory, "Other CA")


def entry(lab: Lab, server: PostgreSQL, mode: str = "verify-full", host: str = "", **changes: Any) -> dict[str, Any]:
    lab.name("tls", server.v4)
    return {
        "address": {"host": host or NAME, "port": 5432},
        "database": "shop",
        "username": "app",
        "password": lab.password,
        "properties": {"sslmode": mode},
        "truststore_file": f"file:{lab.ca.bundle}",
        **changes,
    }


def check(lab: Lab, server: PostgreSQL, mode: str = "verify-full", host: str = "", **changes: Any) -> Verdict:
    return lab.check("postgresql", entry(lab, server, mode, host, **changes))


def stage(verdict: Verdict) -> dict[str, Any]:
    return next(stage.evidence for stage in verdict.stages if stage.name == "tls")


def test_good(lab: Lab, expect: Expectation, good: PostgreSQL) -> None:
    verdict = check(lab, good)
    expect(verdict, "TLS, verified", code=None, state=FINE, within=1)
    assert not verdict.warnings
    assert stage(verdict)["tls_version"] == "TLSv1.3"
    assert stage(verdict)["names"] == [NAME]
    expect(check(lab, good, "verify-ca", good.v4), "TLS, chain verified", code=None, state=FINE, within=1)


def test_not_verified(lab: Lab, expect: Expectation, good: PostgreSQL) -> None:
    verdict = check(lab, good, "require")
    expect(verdict, "TLS, not verified", code=None, state=FINE, warnings=["TLS.NOT_VERIFIED"], within=1)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_untrusted(lab: Lab, expect: Expectation, good: PostgreSQL, other: Authority, mode: str) -> None:
    verdict = check(lab, good, mode, truststore_file=f"file:{other.bundle}")
    expect(verdict, "certificate of an unknown CA", code="TLS.UNTRUSTED_CA", state=CONFIG, component="Lab Root CA",
           within=1)  # fmt: skip


def test_self_signed(lab: Lab, expect: Expectation, other: Authority) -> None:
    key = lab.network.directory / "self.key"
    key.write_bytes(
        other._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = lab.postgresql(tls=Certificate(other.bundle, key, other.bundle))
    expect(check(lab, server), "self-signed certificate", code="TLS.UNTRUSTED_CA", state=CONFIG, component="Other CA",
           within=1)  # fmt: skip


def test_names(lab: Lab, expect: Expectation, good: PostgreSQL) -> None:
    verdict = check(lab, good, host=good.v4)
    expect(verdict, "certificate of another name", code="TLS.NAME_MISMATCH", state=CONFIG, component=good.v4,
           remedy=NAME, within=1)  # fmt: skip
    lab.name("wrong", good.v4)
    verdict = check(lab, good, host="wrong.lab.test")
    expect(verdict, "certificate of another name", code="TLS.NAME_MISMATCH", state=CONFIG, component="wrong.lab.test",
           remedy=NAME, within=1)  # fmt: skip


def test_expired(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql(tls=lab.ca.issue(NAME, valid_from=-9, valid_to=-2))
    verdict = check(lab, server)
    expect(verdict, "certificate expired", code="TLS.EXPIRED", state=CONFIG, component=NAME, within=1, owner="dba")
    ended = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).date().isoformat()
    assert ended in verdict.message
    verdict = check(lab, server, "require")
    assert "TLS.EXPIRES_SOON" in {warning.code for warning in verdict.warnings}


def test_not_yet_valid(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql(tls=lab.ca.issue(NAME, valid_from=2, valid_to=9))
    verdict = check(lab, server)
    expect(verdict, "certificate not yet valid", code="TLS.NOT_YET_VALID", state=CONFIG, component=NAME, within=1)


def test_near_its_end(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql(tls=lab.ca.issue(NAME, valid_to=10))
    verdict = check(lab, server)
    expect(verdict, "certificate near its end", code=None, state=FINE, warnings=["TLS.EXPIRES_SOON"], within=1)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1"])
def test_old_version(lab: Lab, expect: Expectation, version: str) -> None:
    openssl = lab.network.directory / "openssl.cnf"
    openssl.write_text(
        "openssl_conf = d\n[d]\nssl_conf = s\n[s]\nsystem_default = o\n[o]\nCipherString = ALL:@SECLEVEL=0\n"
    )
    with _environment(OPENSSL_CONF=str(openssl)):
        server = lab.postgresql(
            own=version,
            tls=lab.ca.issue(NAME),
            settings={"ssl_min_protocol_version": version, "ssl_max_protocol_version": version},
        )
    verdict = check(lab, server)
    expect(verdict, f"server speaks {version} only", code="TLS.VERSION_OR_CIPHER", state=CONFIG,
           component=f"{server.v4}:5432", within=1)  # fmt: skip


@contextmanager
def _environment(**words: str) -> Iterator[None]:
    import os

    before = dict(os.environ)
    os.environ.update(words)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# -- client certificates ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demanding(lab: Lab) -> PostgreSQL:
    """Lets `app` in over TLS with a client certificate of the lab's CA only."""
    return lab.postgresql(
        tls=lab.ca.issue(NAME, common_name="demanding"),
        hba=["hostssl all app all scram-sha-256 clientcert=verify-ca", "hostssl all by_certificate all cert"],
    )


def _files(certificate: Certificate) -> dict[str, str]:
    return {"keystore_file": f"file:{certificate.certificate}", "key_file": f"file:{certificate.key}"}


def test_client_certificate(lab: Lab, expect: Expectation, demanding: PostgreSQL) -> None:
    mine = lab.ca.issue("app", client=True)
    expect(check(lab, demanding, **_files(mine)), "client certificate", code=None, state=FINE, within=1)


def test_client_certificate_lacking(lab: Lab, expect: Expectation, demanding: PostgreSQL) -> None:
    expect(check(lab, demanding), "client certificate lacking", code="INCONCLUSIVE", state=UNREACHABLE,
           alternatives=["ADMIT.ALLOWLIST", "TLS.CLIENT_CERT"], within=1)  # fmt: skip
    seen = demanding.log.read_text(errors="replace")
    assert 'user "headwater", database "headwater", no encryption' in seen, "asked without TLS under nobody's name"
    assert 'user "app", database "shop", no encryption' not in seen, "names that TLS was to hide"


def test_client_certificate_of_another_ca(
    lab: Lab, expect: Expectation, demanding: PostgreSQL, other: Authority
) -> None:
    theirs = other.issue("app", client=True)
    verdict = check(lab, demanding, **_files(theirs))
    expect(verdict, "client certificate of an unknown CA", code="TLS.CLIENT_CERT", state=CONFIG,
           component="keystore_file", within=1)  # fmt: skip


def test_client_certificate_expired(lab: Lab, expect: Expectation, demanding: PostgreSQL) -> None:
    mine = lab.ca.issue("app", client=True, valid_from=-9, valid_to=-2)
    expect(check(lab, demanding, **_files(mine)), "client certificate expired", code="TLS.CLIENT_CERT", state=CONFIG,
           within=1)  # fmt: skip


def test_client_certificate_of_another_user(lab: Lab, expect: Expectation, demanding: PostgreSQL) -> None:
    demanding.sql("CREATE ROLE by_certificate LOGIN", "GRANT SELECT ON orders TO by_certificate")
    mine = lab.ca.issue("by_certificate", client=True)
    verdict = check(lab, demanding, username="by_certificate", **_files(mine))
    expect(verdict, "login by certificate", code=None, state=FINE, within=1)
    theirs = lab.ca.issue("somebody", client=True)
    verdict = check(lab, demanding, username="by_certificate", **_files(theirs))
    expect(verdict, "client certificate of another user", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, within=1)


def test_key_of_another_certificate(lab: Lab, expect: Expectation, demanding: PostgreSQL) -> None:
    one, two = lab.ca.issue("app", client=True), lab.ca.issue("app", client=True)
    verdict = check(lab, demanding, keystore_file=f"file:{one.certificate}", key_file=f"file:{two.key}")
    expect(verdict, "key of another certificate", code="TLS.CLIENT_CERT", state=CONFIG, component="keystore_file",
           within=1)  # fmt: skip


def test_encrypted_key(lab: Lab, expect: Expectation, demanding: PostgreSQL) -> None:
    mine = lab.ca.issue("app", client=True)
    locked = mine.key.with_suffix(".locked")
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", mine.key, "-out", locked, "-passout", "pass:canary-key-word"], check=True
    )
    files = {"keystore_file": f"file:{mine.certificate}", "key_file": f"file:{locked}"}
    verdict = check(lab, demanding, **files)
    expect(verdict, "key without its password", code="TLS.CLIENT_CERT", state=CONFIG, within=1)


def test_truststore_without_a_certificate(lab: Lab, expect: Expectation, good: PostgreSQL) -> None:
    empty = lab.network.directory / "empty.pem"
    empty.write_text("no certificate in here\n")
    verdict = check(lab, good, truststore_file=f"file:{empty}")
    expect(verdict, "CA file without a certificate", code="CONFIG.BAD_VALUE", state=CONFIG, component="truststore_file",
           within=1)  # fmt: skip


def test_truststore_that_is_not_there(lab: Lab, expect: Expectation, good: PostgreSQL) -> None:
    verdict = check(lab, good, truststore_file="file:/nonexistent/ca.pem")
    expect(verdict, "CA file not there", code="CONFIG.SECRET_UNRESOLVED", state=CONFIG, within=1)


# -- handshakes that break --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "script", "code"),
    [
        ("handshake never answered", {"end": "hold"}, "PEER.MUTE"),
        ("handshake closed", {"end": "close"}, "SERVER.ERROR"),
        ("handshake reset", {"end": "reset"}, "SERVER.ERROR"),
    ],
)
def test_handshake_breaks(lab: Lab, expect: Expectation, kind: str, script: dict[str, str], code: str) -> None:
    with lab.listener("mute", 5432, reply=b"S", wait=True, **script) as listener:
        wanted = {
            "address": {"host": listener.host, "port": 5432}, "database": "shop", "username": "app",
            "password": lab.password, "properties": {"sslmode": "require"},
        }  # fmt: skip
        verdict = lab.check("postgresql", wanted, timeout=2)
        assert lab.password.encode() not in b"".join(listener.heard)
    state = UNREACHABLE if code == "PEER.MUTE" else CONFIG
    expect(verdict, kind, code=code, state=state, component=f"{listener.host}:5432", within=2.5)
