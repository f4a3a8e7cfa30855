"""Logins by ticket within SASL: against Cyrus SASL with MIT Kerberos, and against Java's own in a real ZooKeeper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.verdict import Stage, Verdict
from tests.lab.expectation import Expectation
from tests.lab.kerberized import KerberosBroker, KerberosHive, KerberosNameNode, KerberosZooKeeper
from tests.lab.lab import Lab
from tests.lab.realm import REALM, Kdc
from tests.lab.stores import Kafka
from tests.lab.test_hbase import record, zookeeper

CONFIG = "ConfigError"
UNEXPLAINED = ["AUTH.KERBEROS_KEYTAB", "AUTH.KERBEROS_CLOCK"]
BROKER, ENSEMBLE, WAREHOUSE = "kafka-krb.lab.test", "zk-krb.lab.test", "hive-krb.lab.test"


class World:
    """A realm, its files, and keytabs of its servers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.kdc = lab.server(Kdc, own="sasl")
        for name in ("app", "passing", f"kafka/{BROKER}", f"zookeeper/{ENSEMBLE}", f"hive/{WAREHOUSE}"):
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

    def hive_server(self, host: str = WAREHOUSE, **options: Any) -> KerberosHive:
        keytab = options.pop("keytab", None) or self.kdc.keytab("hive", f"hive/{host}")
        server = self.lab.server(KerberosHive, keytab=str(keytab), itself=host, **options)
        self.lab.name(host.partition(".")[0], server.v4)
        return server

    def hive(self, host: str = WAREHOUSE, **changes: Any) -> dict[str, Any]:
        given = {
            "address": {"host": host, "port": 10000}, "database": "shop", "security_protocol": "authTypeKerberos",
            "principal": "app", **self.files(), **changes,
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


def login(verdict: Verdict) -> Stage:
    return next(stage for stage in verdict.stages if stage.name == "login")


# -- Kafka -------------------------------------------------------------------------------------------------------------


def test_a_broker_takes_the_ticket(world: World, expect: Expectation) -> None:
    world.broker()
    verdict = world.lab.check("kafka", world.kafka())
    expect(verdict, "Kafka: good, by a keytab", code=None, state="Connectable", within=3)
    seen = login(verdict).evidence
    assert seen["principal"] == f"app@{REALM}"
    assert seen["service_principal"] == f"kafka/{BROKER}@{REALM}"
    assert seen["security_layers"] == ["none"]


def test_brokers_by_their_own_names(world: World, expect: Expectation) -> None:
    """A broker that leads a partition is logged in to as itself; one without a principal is named."""
    for host in ("kafka-krb1.lab.test", "kafka-krb2.lab.test"):
        world.kdc.principal(f"kafka/{host}")
        world.broker(host, beside="kafka-krb2.lab.test")
    verdict = world.lab.check("kafka", world.kafka("kafka-krb1.lab.test", objects=["far"]))
    expect(verdict, "Kafka: good, two brokers", code=None, state="Connectable", within=3)
    world.kdc.admin("delprinc -force kafka/kafka-krb2.lab.test")
    verdict = world.lab.check("kafka", world.kafka("kafka-krb1.lab.test", objects=["far"]))
    expect(
        verdict, "Kafka: second broker's principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"kafka/kafka-krb2.lab.test@{REALM}", within=3,
    )  # fmt: skip


def test_who_and_what_by_jaas(world: World, expect: Expectation) -> None:
    host = "streams-krb.lab.test"
    world.kdc.principal(f"streams/{host}")
    world.broker(host, service="streams", keytab=world.kdc.keytab("streams", f"streams/{host}"))
    both = world.kdc.keytab("both", "app", "passing")
    jaas = world.kdc.folder / "jaas.conf"
    jaas.write_text(
        "KafkaClient {\n com.sun.security.auth.module.Krb5LoginModule required\n useKeyTab=true // the file\n"
        ' principal="app@LAB.TEST" serviceName="streams";\n};\n'
    )
    verdict = world.lab.check("kafka", world.kafka(host, jaas_file_conf=f"file:{jaas}", **world.files(both)))
    expect(verdict, "Kafka: good, by JAAS", code=None, state="Connectable", within=3)
    config = {"sasl.kerberos.service.name": "streams"}
    verdict = world.lab.check("kafka", world.kafka(host, kafka_config=config))
    expect(verdict, "Kafka: good, service named", code=None, state="Connectable", within=3)
    verdict = world.lab.check("kafka", world.kafka(host, **world.files(both)))
    expect(verdict, "Kafka: which of two principals", code="AUTH.KERBEROS_KEYTAB", state=CONFIG, within=3)


def test_the_kdc_refuses(world: World, expect: Expectation) -> None:
    server = world.broker()
    alias = world.lab.name("kafka-krb-alias", server.v4)
    verdict = world.lab.check("kafka", world.kafka(alias))
    expect(
        verdict, "Kafka: service principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"kafka/{alias}@{REALM}", within=2,
    )  # fmt: skip
    old = world.kdc.keytab("old", "passing")
    world.kdc.keytab("newer", "passing", fresh=True)
    verdict = world.lab.check("kafka", world.kafka(**world.files(old)))
    expect(
        verdict, "Kafka: keytab outdated", code="AUTH.KERBEROS_KEYTAB", state=CONFIG, component="kerberos_file_keytab",
        within=2,
    )  # fmt: skip
    with world.lab.filter("drop", world.kdc.v4):
        verdict = world.lab.check("kafka", world.kafka(), timeout=3)
    expect(
        verdict, "Kafka: KDC silent", code="AUTH.KERBEROS_KDC", state=CONFIG, component=f"{world.kdc.v4}:88", within=3.5
    )


@pytest.mark.parametrize("fault", ["keytab", "clock"])
def test_a_broker_that_cannot_open_the_ticket(world: World, expect: Expectation, fault: str) -> None:
    host = f"kafka-{fault}.lab.test"
    world.kdc.principal(f"kafka/{host}")
    keytab = world.kdc.keytab(f"kafka-{fault}", f"kafka/{host}")
    world.broker(host, keytab=keytab, ahead=fault == "clock")
    if fault == "keytab":
        world.kdc.keytab("kafka-newer", f"kafka/{host}", fresh=True)
    verdict = world.lab.check("kafka", world.kafka(host))
    expect(
        verdict, f"Kafka: server's {fault} off", code="INCONCLUSIVE", state=CONFIG, alternatives=UNEXPLAINED,
        component=f"kafka/{host}@{REALM}", within=2,
    )  # fmt: skip


def test_a_broker_that_wants_a_security_layer(world: World, expect: Expectation) -> None:
    host = "kafka-layer.lab.test"
    world.kdc.principal(f"kafka/{host}")
    world.broker(host, keytab=world.kdc.keytab("kafka-layer", f"kafka/{host}"), layer=True)
    verdict = world.lab.check("kafka", world.kafka(host))
    expect(verdict, "Kafka: security layer demanded", code="DRIVER.MISSING", state="Unsupport", within=2)
    assert "integrity or confidentiality" in verdict.message


def test_a_broker_without_kerberos(world: World, expect: Expectation) -> None:
    server = world.lab.server(Kafka)
    verdict = world.lab.check("kafka", world.kafka(server.v4, address={"host": server.v4, "port": 9094}))
    expect(
        verdict, "Kafka: no GSSAPI", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, component="sasl_mechanism", within=2
    )


# -- HiveServer2 -------------------------------------------------------------------------------------------------------


def test_hive_takes_the_ticket(world: World, expect: Expectation) -> None:
    world.hive_server()
    verdict = world.lab.check("hive", world.hive())
    expect(verdict, "Hive: good, by a keytab", code=None, state="Connectable", within=3)
    assert login(verdict).evidence["service_principal"] == f"hive/{WAREHOUSE}@{REALM}"
    # As JDBC has it: `principal` is the server's, and the keytab says who logs in.
    for servers in (f"hive/_HOST@{REALM}", f"hive/{WAREHOUSE}@{REALM}"):
        verdict = world.lab.check("hive", world.hive(principal=servers))
        expect(verdict, f"Hive: good, server's principal {servers}", code=None, state="Connectable", within=3)
        assert login(verdict).evidence["principal"] == f"app@{REALM}"


def test_a_hive_of_another_service(world: World, expect: Expectation) -> None:
    host = "hive-cdh.lab.test"
    world.kdc.principal(f"warehouse/{host}")
    world.hive_server(host, service="warehouse", keytab=world.kdc.keytab("warehouse", f"warehouse/{host}"))
    properties = {"principal": f"warehouse/_HOST@{REALM}"}
    verdict = world.lab.check("hive", world.hive(host, properties=properties))
    expect(verdict, "Hive: good, service named", code=None, state="Connectable", within=3)
    verdict = world.lab.check("hive", world.hive(host))
    expect(
        verdict, "Hive: service principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"hive/{host}@{REALM}", within=2,
    )  # fmt: skip


def test_a_hive_that_refuses(world: World, expect: Expectation) -> None:
    host = "hive-rotated.lab.test"
    world.kdc.principal(f"hive/{host}")
    world.hive_server(host, keytab=world.kdc.keytab("hive-rotated", f"hive/{host}"))
    world.kdc.keytab("hive-newer", f"hive/{host}", fresh=True)
    verdict = world.lab.check("hive", world.hive(host))
    expect(
        verdict, "Hive: server's keytab outdated", code="INCONCLUSIVE", state=CONFIG, alternatives=UNEXPLAINED,
        component=f"hive/{host}@{REALM}", within=2,
    )  # fmt: skip
    host = "hive-ldap.lab.test"
    world.kdc.principal(f"hive/{host}")
    world.hive_server(host, keytab=world.kdc.keytab("hive-ldap", f"hive/{host}"), mechanism="PLAIN")
    verdict = world.lab.check("hive", world.hive(host))
    expect(
        verdict, "Hive: no GSSAPI", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, component="security_protocol",
        within=3,
    )  # fmt: skip
    assert "takes no tickets" in verdict.message
    anonymous = {"address": {"host": WAREHOUSE, "port": 10000}, "database": "shop"}
    verdict = world.lab.check("hive", anonymous)
    expect(verdict, "Hive: Kerberos demanded", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, within=3)


# -- HDFS --------------------------------------------------------------------------------------------------------------


def test_name_nodes(world: World, expect: Expectation) -> None:
    host, ours = "nn-krb.lab.test", world.files() | {"principal": "app"}
    world.kdc.principal(f"nn/{host}")
    keytab = str(world.kdc.keytab("nn", f"nn/{host}"))
    node = world.lab.server(KerberosNameNode, keytab=keytab, itself=host)
    alias = world.lab.name("nn-alias", node.v4)
    world.lab.name("nn-krb", node.v4)
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{alias}:8020", **ours})
    expect(verdict, "HDFS: good, principal named by the server", code=None, state="Connectable", within=3)
    assert login(verdict).evidence["service_principal"] == f"nn/{host}@{REALM}"
    named = {"dfs.namenode.kerberos.principal": f"nn/_HOST@{REALM}"}
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{host}:8020", "hadoop_config": named, **ours})
    expect(verdict, "HDFS: good, principal configured", code=None, state="Connectable", within=3)
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{alias}:8020", "hadoop_config": named, **ours})
    expect(
        verdict, "HDFS: service principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"nn/{alias}@{REALM}", within=2,
    )  # fmt: skip
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{host}:8020"})
    expect(
        verdict, "HDFS: Kerberos demanded", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG,
        component="kerberos_file_keytab", within=2,
    )  # fmt: skip
    closed = world.lab.server(KerberosNameNode, keytab=keytab, itself=host, closed=True)
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{closed.v4}:8020", **ours})
    expect(
        verdict, "HDFS: not let in", code="AUTH.LOGIN_FORBIDDEN", state=CONFIG, component=f"app@{REALM}", within=2
    )  # fmt: skip
    world.kdc.keytab("nn-newer", f"nn/{host}", fresh=True)
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{host}:8020", **ours})
    expect(
        verdict, "HDFS: server's keytab outdated", code="INCONCLUSIVE", state=CONFIG, alternatives=UNEXPLAINED,
        component=f"nn/{host}@{REALM}", within=2,
    )  # fmt: skip
    simple = world.lab.server(KerberosNameNode, keytab=keytab, itself=host, mechanism="SIMPLE")
    verdict = world.lab.check("hdfs", {"default_fs": f"hdfs://{simple.v4}:8020", **ours})
    expect(
        verdict, "HDFS: no Kerberos", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, component="kerberos_file_keytab",
        within=2,
    )  # fmt: skip


# -- HBase's ZooKeeper -------------------------------------------------------------------------------------------------


def test_zookeeper_takes_the_ticket(world: World, expect: Expectation) -> None:
    server = world.zookeeper(login_only=True)
    verdict = world.lab.check("hbase", world.hbase())
    expect(verdict, "ZooKeeper: good, as far as is tested", code="DRIVER.MISSING", state="Unsupport", within=3)
    assert login(verdict).status == "passed", login(verdict)
    assert login(verdict).evidence["service_principal"] == f"zookeeper/{ENSEMBLE}@{REALM}"
    verdict = world.lab.check("hbase", {"hbase_config": {"hbase.zookeeper.quorum": ENSEMBLE}})
    expect(
        verdict, "ZooKeeper: login missing", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG,
        component="security_protocol", within=2,
    )  # fmt: skip
    alias = world.lab.name("zk-krb-alias", server.v4)
    verdict = world.lab.check("hbase", world.hbase(alias))
    expect(
        verdict, "ZooKeeper: service principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"zookeeper/{alias}@{REALM}", within=2,
    )  # fmt: skip
    # Java reads the keytab once more only when it starts; the KDC goes on to the next key.
    world.kdc.keytab("zookeeper-newer", f"zookeeper/{ENSEMBLE}", fresh=True)
    verdict = world.lab.check("hbase", world.hbase())
    expect(
        verdict, "ZooKeeper: server's keytab outdated", code="INCONCLUSIVE", state=CONFIG, alternatives=UNEXPLAINED,
        component=f"zookeeper/{ENSEMBLE}@{REALM}", within=2,
    )  # fmt: skip


def test_a_zookeeper_without_logins(world: World, expect: Expectation) -> None:
    """Its clients do without: HBase's own servers are what counts, and they are not tested."""
    host = world.lab.name("zk-open", zookeeper(world.lab).v4)
    world.kdc.principal(f"zookeeper/{host}")
    verdict = world.lab.check("hbase", world.hbase(host))
    expect(verdict, "ZooKeeper: no logins", code="DRIVER.MISSING", state="Unsupport", within=2)
    assert login(verdict).status == "skipped"
