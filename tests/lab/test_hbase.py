"""HBase: a real ZooKeeper, with the znodes that HBase writes."""

from __future__ import annotations

import struct
from typing import Any

from tasks.protocols.protobuf import varint
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.stores import ZooKeeper


def record(host: str, port: int = 16020) -> bytes:
    """What HBase 2 writes: its magic, the writer's id, and a protobuf whose first field is the server's name."""
    name = host.encode()
    server = b"\x0a" + bytes([len(name)]) + name + b"\x10" + varint(port) + b"\x18" + varint(1712345678901)
    writer = b"master:16000"
    body = b"PBUF\x0a" + bytes([len(server)]) + server + b"\x10\x00\x18\x03"
    return b"\xff" + struct.pack("!i", len(writer)) + writer + body


def zookeeper(lab: Lab) -> ZooKeeper:
    """One for all: every scenario has a parent of its own, as if several clusters shared it."""
    lab.name("hbase-rs", lab.redis().v4)
    return lab.server(
        ZooKeeper,
        znodes={
            "/hbase": b"", "/hbase/meta-region-server": record("hbase-rs.lab.test", 6379),
            "/named": b"", "/named/meta-region-server": record("rs1.hadoop.internal"),
            "/closed": b"", "/closed/meta-region-server": record("hbase-rs.lab.test", 16020),
            "/three": b"", "/three/master": record("hbase-rs.lab.test", 6379),
            "/stopped": b"", "/other": b"", "/other/meta-region-server": b"not HBase",
        },
    )  # fmt: skip


def entry(server: ZooKeeper | str, parent: str = "", **changes: Any) -> dict[str, Any]:
    host = server if isinstance(server, str) else server.v4
    config = {"hbase.zookeeper.quorum": host, **({"zookeeper.znode.parent": parent} if parent else {})}
    return {"hbase_config": config, **changes}


def test_everything_but_reading(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("hbase", entry(zookeeper(lab)))
    expect(verdict, "good, as far as is tested", code="DRIVER.MISSING", state="Unsupport", within=2)
    stages = {stage.name: stage for stage in verdict.stages}
    assert stages["target"].status == "passed"
    assert stages["target"].evidence["first_server"] == "hbase-rs.lab.test:6379"
    verdict = lab.check("hbase", entry(zookeeper(lab), "/three"))
    assert {stage.name: stage.status for stage in verdict.stages}["target"] == "passed"


def test_the_server_that_zookeeper_names(lab: Lab, expect: Expectation) -> None:
    server = zookeeper(lab)
    verdict = lab.check("hbase", entry(server, "/named"))
    expect(
        verdict, "region server's name unknown", code="DNS.NXDOMAIN", state="Unreachable",
        component="rs1.hadoop.internal:16020", within=3,
    )  # fmt: skip
    verdict = lab.check("hbase", entry(server, "/closed"))
    expect(
        verdict, "region server's port closed", code="PORT.CLOSED", state="Unreachable",
        component="hbase-rs.lab.test:16020", within=2,
    )  # fmt: skip


def test_znodes(lab: Lab, expect: Expectation) -> None:
    server = zookeeper(lab)
    verdict = lab.check("hbase", entry(server, "/hbase-unsecure"))
    expect(
        verdict, "no such znode", code="TARGET.MISSING", state="ConfigError", component="/hbase-unsecure", within=2
    )  # fmt: skip
    assert "hbase, named" in verdict.message
    verdict = lab.check("hbase", entry(server, "/stopped"))
    expect(verdict, "HBase not running", code="SERVER.NOT_READY", state="ConfigError", component="/stopped", within=2)
    verdict = lab.check("hbase", entry(server, "/other"))
    expect(verdict, "znode of something else", code="PROTO.MISMATCH", state="ConfigError", within=2)


def test_an_ensemble_without_quorum(lab: Lab, expect: Expectation) -> None:
    server = lab.server(ZooKeeper, peers=(lab.host().v4, lab.host().v4))
    verdict = lab.check("hbase", entry(server))
    expect(verdict, "no quorum", code="SERVER.NOT_READY", state="ConfigError", within=2)


def test_one_of_the_quorum_is_down(lab: Lab) -> None:
    verdict = lab.check("hbase", entry(f"{lab.host().v4},{zookeeper(lab).v4}"))
    assert verdict.cause == "DRIVER.MISSING"


def test_another_protocol(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("hbase", entry(f"{lab.redis().v4}:6379"), timeout=3)
    expect(verdict, "a Redis", code="PROTO.MISMATCH", state="ConfigError", within=3.5)
    verdict = lab.check("redis", {"address": {"host": zookeeper(lab).v4, "port": 2181}}, timeout=3)
    assert verdict.cause != "PORT.CLOSED"
