"""RabbitMQ: one real broker for every scenario, for it takes seconds to start."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, WRONG_PASSWORD
from tests.lab.stores import RabbitMQ

NAME = "broker.lab.test"


@pytest.fixture(scope="module")
def broker(lab: Lab) -> RabbitMQ:
    server = lab.server(RabbitMQ, tls=lab.ca.issue(NAME))
    lab.name("broker", server.v4)
    return server


def entry(broker: RabbitMQ | str, *, port: int = 5672, **changes: Any) -> dict[str, Any]:
    given = {
        "address": {"host": broker if isinstance(broker, str) else broker.v4, "port": port}, "virtual_host": "shop",
        "username": "app", "password": PASSWORD, "objects": ["orders"], **changes,
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


def test_good(lab: Lab, expect: Expectation, broker: RabbitMQ) -> None:
    verdict = lab.check("rabbitmq", entry(broker))
    expect(verdict, "good", code=None, state="Connectable", within=2)
    verdict = lab.check("rabbitmq", entry(broker, objects=None))
    expect(verdict, "good, no queue bound", code=None, state="Connectable", within=2, warnings=["PRIV.NOTHING_READ"])
    assert verdict.stages[-1].status == "warned"


def test_an_account_that_may_read_nothing_is_not_told_to_be_well(
    lab: Lab, expect: Expectation, broker: RabbitMQ
) -> None:
    verdict = lab.check("rabbitmq", entry(broker, username="barred", objects=None))
    expect(
        verdict, "may log in, and read no queue", code=None, state="Connectable", within=2,
        warnings=["PRIV.NOTHING_READ"],
    )  # fmt: skip
    verdict = lab.check("rabbitmq", entry(broker, username="barred"))
    expect(verdict, "may read no queue", code="PRIV.OBJECT_DENIED", state="ConfigError", component="orders", within=2)


def test_over_tls(lab: Lab, expect: Expectation, broker: RabbitMQ) -> None:
    bundle = {"truststore_file": f"file:{lab.ca.bundle}"}
    verdict = lab.check("rabbitmq", entry(NAME, port=5671, **bundle))
    expect(verdict, "good over TLS", code=None, state="Connectable", within=2)
    verdict = lab.check("rabbitmq", entry(NAME, port=5671, security_protocol="authTypeSsl"))
    expect(
        verdict, "TLS not verified", code=None, state="Connectable", within=2, warnings=["TLS.NOT_VERIFIED"]
    )  # fmt: skip
    verdict = lab.check("rabbitmq", entry(broker, port=5671, **bundle))
    expect(verdict, "certificate of another name", code="TLS.NAME_MISMATCH", state="ConfigError", within=2)
    verdict = lab.check("rabbitmq", entry(NAME, port=5671))
    expect(verdict, "plaintext to the TLS port", code="TLS.REQUIRED", state="ConfigError", within=2)
    verdict = lab.check("rabbitmq", entry(NAME, port=5672, **bundle))
    expect(verdict, "TLS to the plaintext port", code="TLS.NOT_OFFERED", state="ConfigError", within=2)


@pytest.mark.parametrize(
    ("kind", "changes", "code", "component"),
    [
        ("wrong password", {"password": WRONG_PASSWORD}, "AUTH.BAD_CREDENTIALS", "app"),
        ("unknown user", {"username": "nobody"}, "AUTH.BAD_CREDENTIALS", "nobody"),
        ("no such virtual host", {"virtual_host": "shpo"}, "TARGET.MISSING", "shpo"),
        ("virtual host not granted", {"virtual_host": "private"}, "TARGET.NO_CONNECT", "private"),
        ("virtual host full", {"virtual_host": "full"}, "CAPACITY.CONNECTIONS", ""),
        ("no such queue", {"objects": ["oders"]}, "TARGET.OBJECT_MISSING", "oders"),
        ("queue may not be read", {"objects": ["orders", "closed"]}, "PRIV.OBJECT_DENIED", "closed"),
    ],
)
def test_refused(
    lab: Lab, expect: Expectation, broker: RabbitMQ, kind: str, changes: dict[str, Any], code: str, component: str
) -> None:
    verdict = lab.check("rabbitmq", entry(broker, **changes))
    expect(verdict, kind, code=code, state="ConfigError", component=component, within=2)


def test_guest_from_elsewhere(lab: Lab, expect: Expectation, broker: RabbitMQ) -> None:
    verdict = lab.check("rabbitmq", entry(broker, username="guest", virtual_host="/"))
    expect(
        verdict, "guest, not locally", code="INCONCLUSIVE", state="ConfigError", within=2,
        alternatives=["AUTH.BAD_CREDENTIALS", "AUTH.LOGIN_FORBIDDEN"],
    )  # fmt: skip


def test_another_protocol(lab: Lab, expect: Expectation, broker: RabbitMQ) -> None:
    verdict = lab.check("rabbitmq", entry(lab.http().v4, port=80))
    expect(verdict, "a web server", code="PROTO.MISMATCH", state="ConfigError", within=2)
    verdict = lab.check("redis", {"address": {"host": broker.v4, "port": 5672}, "password": PASSWORD})
    expect(verdict, "a RabbitMQ in place of Redis", code="PROTO.MISMATCH", state="ConfigError", within=2)


def test_no_secret_before_the_broker_has_spoken(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 5672) as listener:
        verdict = lab.check("rabbitmq", entry(listener.host), timeout=2)
    expect(verdict, "accepts, says nothing", code="PEER.MUTE", state="Unreachable", within=2.5)
    assert PASSWORD.encode() not in b"".join(listener.heard)
