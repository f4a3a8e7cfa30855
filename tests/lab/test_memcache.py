"""Memcached: real servers, with and without a login."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, WRONG_PASSWORD
from tests.lab.stores import Memcached

NAME = "memory.lab.test"


def entry(server: Any, **changes: Any) -> dict[str, Any]:
    host = server if isinstance(server, str) else server.v4
    given = {"proxy": host, "port": 11211, "username": None, "password": None, **changes}
    return {key: value for key, value in given.items() if value is not None}


def test_good(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("memcache", entry(lab.server(Memcached), objects=["orders"]))
    expect(verdict, "good", code=None, state="Connectable", within=1)
    assert verdict.stages[-1].evidence["connections_limit"] == 1024
    verdict = lab.check("memcache", entry(lab.server(Memcached), username="app", password=PASSWORD))
    expect(verdict, "good, login not needed", code=None, state="Connectable", within=1)


@pytest.mark.parametrize(("login", "username"), [("sasl", "app@lab"), ("file", "app")])
def test_login(lab: Lab, expect: Expectation, login: str, username: str) -> None:
    server = lab.server(Memcached, login=login)
    verdict = lab.check("memcache", entry(server, username=username, password=PASSWORD))
    expect(verdict, f"good, login by {login}", code=None, state="Connectable", within=1)
    for kind, account in {
        "wrong password": {"username": username, "password": WRONG_PASSWORD},
        "unknown user": {"username": "nobody", "password": PASSWORD},
        "no credentials": {},
    }.items():
        verdict = lab.check("memcache", entry(server, **account))
        expect(verdict, f"{kind}, login by {login}", code="AUTH.BAD_CREDENTIALS", state="ConfigError", within=1)


def test_tls(lab: Lab, expect: Expectation) -> None:
    server = lab.server(Memcached, tls=lab.ca.issue(NAME))
    lab.name("memory", server.v4)
    bundle = {"truststore_file": f"file:{lab.ca.bundle}"}
    verdict = lab.check("memcache", entry(NAME, **bundle))
    expect(verdict, "good over TLS", code=None, state="Connectable", within=1)
    verdict = lab.check("memcache", entry(server, **bundle))
    expect(verdict, "certificate of another name", code="TLS.NAME_MISMATCH", state="ConfigError", within=1)
    verdict = lab.check("memcache", entry(NAME))
    expect(verdict, "plaintext to TLS", code="TLS.REQUIRED", state="ConfigError", within=2)
    verdict = lab.check("memcache", entry(lab.server(Memcached), **bundle), timeout=3)
    expect(verdict, "TLS to plaintext", code="TLS.NOT_OFFERED", state="ConfigError", within=3)


def test_missing_key(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("memcache", entry(lab.server(Memcached), objects=["oders"]))
    expect(verdict, "no such key", code="TARGET.OBJECT_MISSING", state="ConfigError", component="oders", within=1)


def test_full(lab: Lab, expect: Expectation) -> None:
    server = lab.server(Memcached, options=("-t", "1", "-c", "40"))
    with contextlib.ExitStack() as held, lab.inside("server"):
        for _ in range(60):
            client = held.enter_context(socket.create_connection((server.v4, 11211)))
            client.sendall(b"version\r\n")
        verdict = lab.check("memcache", entry(server))
    expect(verdict, "connection limit reached", code="CAPACITY.CONNECTIONS", state="ConfigError", within=2)


def test_other_protocols(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("memcache", entry(lab.redis(), port=6379))
    expect(verdict, "a Redis", code="PROTO.MISMATCH", state="ConfigError", within=2)
    verdict = lab.check("redis", {"address": {"host": lab.server(Memcached).v4, "port": 11211}})
    expect(verdict, "a Memcached in place of Redis", code="PROTO.MISMATCH", state="ConfigError", within=2)
    with lab.listener("mute", 11211) as listener:
        verdict = lab.check("memcache", entry(listener.host, username="app", password=PASSWORD), timeout=2)
    expect(verdict, "accepts, says nothing", code="PEER.MUTE", state="Unreachable", within=2.5)
    assert PASSWORD.encode() not in b"".join(listener.heard)
