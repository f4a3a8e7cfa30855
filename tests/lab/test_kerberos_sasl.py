"""Logins by ticket within SASL: against Cyrus SASL with MIT Kerberos, and against Java's own in a real ZooKeeper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.kerberized import KerberosBroker, KerberosZooKeeper
from tests.lab.lab import Lab
from tests.lab.realm import REALM, Kdc
from tests.lab.test_hbase import record

CONFIG = "ConfigError"
BROKER, ENSEMBLE = "kafka-krb.lab.test", "zk-krb.lab.test"


class World:
    """A realm, its files, and keytabs of its servers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.kdc = lab.server(Kdc, own="sasl")
        for name in ("app", "passing", f"kafka/{BROKER}", f"zookeeper/{ENSEMBLE}"):
            self.kdc.principal(name)
        self.app = self.kdc.keytab("app", "app")

    def broker(self, host: str = BROKER, **options: Any) -> KerberosBroker:
        keytab = options.pop("keytab", None) or self.kdc.keytab("kafka", f"kafka/{host}")
        server = self.lab.server(KerberosBroker, keytab=str(keytab), itself=host, **options)
        self.lab.name(host.partition(".")[0], server.v4)
        return server

    def files(self, keytab: Path | None = None) -> dict[str, str]:
        return {
            "kerberos_file_conf": f"file:{self.kdc.folder}/krb5.conf",
            "kerberos_file_keytab": f"file:{keytab or self.app}",
        }

    def kafka(self, host: str = BROKER, **changes: Any) -> dict[str, Any]:
        given = {
            "address": {"host": host, "port": 9092}, "objects": ["orders"],
            "security_protocol": "authTypeSaslPlaintext", "sasl_mechanism": "gssapi", **self.files(), **changes,
        }  # fmt: skip
        return {key: value for key, value in given.items() if value is not None}

    def zookeeper(self, **options: Any) -> KerberosZooKeeper:
        principal = f"zookeeper/{ENSEMBLE}"
        keytab = options.pop("keytab", None) or self.kdc.keytab("zookeeper", principal)
        self.lab.name("hbase-rs", self.lab.redis().v4)
        found = self.lab.server(
            KerberosZooKeeper, keytab=str(keytab), principal=f"{principal}@{REALM}",
            conf=f"{self.kdc.folder}/krb5.conf",
            znodes={"/hbase": b"", "/hbase/master": record("hbase-rs.lab.test", 6379)}, **options,
        )  # fmt: skip
        self.lab.name(ENSEMBLE.partition(".")[0], found.v4)
        return found

    def hbase(self, host: str = ENSEMBLE, **changes: Any) -> dict[str, Any]:
        given = {
            "hbase_config": {"hbase.zookeeper.quorum": host}, "security_protocol": "authTypeKerberos",
            "principal": "app", **self.files(), **changes,
        }  # fmt: skip
        return {key: value for key, value in given.items() if value is not None}


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    return World(lab)


def test_a_broker_takes_the_ticket(world: World, expect: Expectation) -> None:
    world.broker()
    verdict = world.lab.check("kafka", world.kafka())
    expect(verdict, "Kafka: good, by a keytab", code=None, state="Connectable", within=3)
    login = next(stage.evidence for stage in verdict.stages if stage.name == "login")
    assert login["principal"] == f"app@{REALM}"
    assert login["service_principal"] == f"kafka/{BROKER}@{REALM}"


def test_zookeeper_takes_the_ticket(world: World, expect: Expectation) -> None:
    world.zookeeper()
    verdict = world.lab.check("hbase", world.hbase())
    expect(verdict, "ZooKeeper: good, as far as is tested", code="DRIVER.MISSING", state="Unsupport", within=3)
    login = next(stage for stage in verdict.stages if stage.name == "login")
    assert login.status == "passed", login
    assert login.evidence["service_principal"] == f"zookeeper/{ENSEMBLE}@{REALM}"
