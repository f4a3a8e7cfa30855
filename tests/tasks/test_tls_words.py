"""Remedies of TLS: they name the field that says it, as the user wrote it, and only fields that the type has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from registry.connection import Mode
from registry.connection.reading import read_entry
from registry.types import catalogue
from tasks.diagnosis import Finding, explain
from tasks.target import Target
from tests.tasks.support import failed, target

_FIELDS = frozenset(
    name for type_ in catalogue().values() for model in type_.modes.values() for name in model.model_fields
)
#: What reads like a field and is a word of the language as well is only looked at with an underscore in it.
_NAMES = frozenset(name for name in _FIELDS if "_" in name)
_CERTIFICATE = {"subject": "CN=db", "issuer": "CN=CA", "names": ["db"], "not_before": "a", "not_after": "b"}
_CAUSES = (
    ("TLS.NOT_OFFERED", "tls", {"tls_refused": True}),
    ("TLS.NOT_OFFERED", "tls", {"not_tls": True, "looks_like": "HTTP", "in_clear": "answers"}),
    ("TLS.REQUIRED", "greet", {"over_tls": "answers", "inside_tls": None}),
    ("TLS.UNTRUSTED_CA", "tls", {"verify_code": 19, **_CERTIFICATE}),
    ("TLS.NAME_MISMATCH", "tls", {"verify_code": 62, **_CERTIFICATE}),
    ("TLS.EXPIRED", "tls", {"verify_code": 10, **_CERTIFICATE}),
    ("TLS.EXPIRED", "tls", {"verify_code": 10, "in_time": True, **_CERTIFICATE}),
    ("TLS.NOT_YET_VALID", "tls", {"verify_code": 9, "in_time": True, **_CERTIFICATE}),
    ("TLS.VERSION_OR_CIPHER", "tls", {"tls_error": "NO_SHARED_CIPHER"}),
    ("TLS.CLIENT_CERT", "tls", {"alert": 116, "tls_error": "alert"}),
)
_TYPES = [(name, mode) for name, type_ in catalogue().items() for mode in type_.modes if mode is Mode.CONNECTION_STRING]


def _example(name: str) -> Target:
    type_ = catalogue()[name]
    connection = read_entry(type_, type_.example).connection
    assert connection is not None
    protocol = type_.protocol_of(connection)
    return Target("w", "s", name, "prod", "vpc1", protocol, type_.default_port, connection)


def _finding(one: Target, stage: str, evidence: dict[str, Any]) -> Finding:
    return explain(one, failed(stage, evidence), None)


@pytest.mark.parametrize("name", [name for name, _ in _TYPES])
def test_a_remedy_names_only_fields_that_the_type_has(name: str) -> None:
    one = _example(name)
    mine = set(type(one.connection).model_fields)
    for _code, stage, evidence in _CAUSES:
        found = _finding(one, stage, evidence)
        named = set(re.findall(r"\w+", f"{found.remedy} {found.component}")) & _NAMES
        assert named <= mine, (found.code, found.remedy)
        assert "{" not in found.remedy


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_type_with_an_endpoint_says_it_in_the_scheme(scheme: str) -> None:
    example = {**catalogue()["s3"].example, "endpoint": f"{scheme}://store.example.com:9000"}
    connection = catalogue()["s3"].modes[Mode.CONNECTION_STRING].model_validate(example)
    one = Target("w", "s", "s3", "prod", "vpc1", "s3", 443, connection)
    if scheme == "https":
        refused = _finding(one, "tls", {"not_tls": True, "looks_like": "HTTP"})
        assert (refused.code, "write http:// in endpoint" in refused.remedy) == ("TLS.NOT_OFFERED", True)
    else:
        demanded = _finding(one, "greet", {"over_tls": "answers"})
        assert (demanded.code, demanded.remedy) == ("TLS.REQUIRED", "Write https:// in endpoint for s/prod.")


@pytest.mark.parametrize(
    ("type_", "changes", "evidence", "field", "remedy"),
    [
        ("mysql", {"properties": {"sslMode": "DISABLED"}}, {"mysql_error": 3159}, "sslMode", "Set sslMode: REQUIRED"),
        ("mysql", {"properties": {"useSSL": "false"}}, {"mysql_error": 3159}, "useSSL", "Set useSSL: true"),
        (
            "mysql",
            {"properties": {"requireSSL": "false", "useSSL": "false"}},
            {"mysql_error": 3159},
            "useSSL",
            "Set useSSL: true",
        ),
        (
            "mysql",
            {"properties": {"useSSL": "false", "sslMode": "DISABLED"}},
            {"mysql_error": 3159},
            "sslMode",
            "Set sslMode: REQUIRED",
        ),
        (
            "mysql",
            {"properties": {}, "security_protocol": "authTypeNone"},
            {"mysql_error": 3159},
            "security_protocol",
            "Set security_protocol: authTypeSsl",
        ),
        ("redis", {"database": 0, "properties": {"ssl": "false"}}, {"over_tls": "answers"}, "ssl", "Set ssl: true"),
    ],
)
def test_the_field_that_the_user_wrote_is_named(
    type_: str, changes: dict[str, Any], evidence: dict[str, Any], field: str, remedy: str
) -> None:
    found = _finding(target(type=type_, **changes), "greet" if type_ == "redis" else "login", evidence)
    assert (found.code, found.component) == ("TLS.REQUIRED", field)
    assert found.remedy.startswith(remedy)
