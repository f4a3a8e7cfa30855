"""HDFS' NameNode protocol, by the messages that Hadoop's .proto files define."""

from __future__ import annotations

import struct
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.connection import read_entry
from registry.errors import InvalidInputs
from registry.types import get
from tasks import causes
from tasks.protocols.protobuf import delimited, fields, number, text
from tests.tasks.scripted import Conversation, Peer, converse

_HADOOP = "org.apache.hadoop."


def said(status: int, *rest: bytes, exception: str = "") -> bytes:
    """A response: RpcResponseHeaderProto with call, status and the class of an exception, then the message."""
    head = number(1, 0) + number(2, status) + number(3, 9) + (text(4, exception) if exception else b"")
    body = delimited(head) + b"".join(delimited(one) for one in rest)
    return struct.pack("!I", len(body)) + body


def refused(exception: str, status: int = 1) -> bytes:
    return said(status, exception=_HADOOP + exception)


#: HdfsFileStatusProto of a directory (type 1) and of a file (type 2).
DIRECTORY, FILE = said(0, text(1, number(1, 1) + text(2, ""))), said(0, text(1, number(1, 2) + text(2, "")))
MISSING, LISTING = said(0, b""), said(0, text(1, number(2, 0)))


def located(*nodes: tuple[str, str, int]) -> bytes:
    """GetBlockLocationsResponseProto with one block on these DataNodes."""
    ids = [text(1, address) + text(2, name) + text(3, "uuid") + number(4, port) for address, name, port in nodes]
    block = text(1, text(1, "pool")) + number(2, 0) + b"".join(text(3, text(1, one)) for one in ids)
    return said(0, text(1, number(1, 7) + text(2, block)))


async def talk(*words: bytes, others: tuple[Peer, ...] = (), **changes: Any) -> tuple[Conversation, Peer]:
    entry = {"default_fs": "hdfs://192.0.2.2:8020", **changes}
    peer = Peer(*words, pace=64)
    secrets = {name: "x" for name in changes if name.startswith("kerberos_file")}
    return await converse("hdfs", entry, secrets, peer, *others), peer


@pytest.mark.parametrize(
    ("words", "objects", "code"),
    [
        ([DIRECTORY, DIRECTORY, LISTING], [], None),
        ([DIRECTORY, DIRECTORY, LISTING], ["/export"], None),
        ([DIRECTORY, MISSING], ["/exprt"], "TARGET.OBJECT_MISSING"),
        ([DIRECTORY, FILE, said(1, exception="java.io.FileNotFoundException")], ["/f"], "TARGET.OBJECT_MISSING"),
        ([DIRECTORY, DIRECTORY, refused("security.AccessControlException")], ["/export"], "PRIV.OBJECT_DENIED"),
        ([refused("security.AccessControlException"), DIRECTORY, LISTING], ["/export"], None),
        ([DIRECTORY, refused("fs.InvalidPathException")], ["/a//b"], "CONFIG.BAD_VALUE"),
        ([refused("ipc.StandbyException")], [], "SERVER.WRONG_ROLE"),
        ([refused("ipc.RetriableException")], [], "SERVER.NOT_READY"),
        ([refused("security.AccessControlException", 2)], [], "AUTH.METHOD_UNSUPPORTED"),
        ([refused("ipc.RPC$VersionMismatch", 2)], [], "PROTO.MISMATCH"),
        ([DIRECTORY, FILE, located(("192.0.2.9", "dn1", 9866))], ["/f"], "PORT.CLOSED"),
        ([DIRECTORY, FILE, located(("127.0.0.1", "dn1", 9866))], ["/f"], "CONFIG.BAD_VALUE"),
        ([b"HTTP/1.1 404 Not Found\r\n"], [], "PROTO.MISMATCH"),
        ([b"\x00\xff\xff\xff\xff"], [], "SERVER.ERROR"),
    ],
)
async def test_what_name_nodes_answer(words: list[bytes], objects: list[str], code: str | None) -> None:
    went, _ = await talk(*words, objects=objects)
    assert went.cause == code, went


async def test_one_data_node_of_several_is_enough() -> None:
    words = [DIRECTORY, FILE, located(("192.0.2.9", "dn1", 9866), ("192.0.2.8", "dn2", 9866))]
    went, _ = await talk(*words, others=(Peer(),), objects=["/f"])
    assert went.cause is None, went
    assert went.seen("privilege")["data_node"] == "192.0.2.9:9866"


async def test_the_first_call_is_as_hadoop_reads_it() -> None:
    _, peer = await talk(DIRECTORY, DIRECTORY, LISTING, username="app")
    heard = peer.heard
    assert heard.startswith(b"hrpc\x09\x00\x00")
    (size,) = struct.unpack_from("!I", heard, 7)
    context = heard[11 : 11 + size]
    head = dict(fields(context[1 : 1 + context[0]]))
    assert (head[1], head[2], head[3]) == (2, 0, 5)  # protocol buffers, final packet, call -3 in zigzag
    assert len(head[4]) == 16  # type: ignore[arg-type]
    assert b"org.apache.hadoop.hdfs.protocol.ClientProtocol" in context
    assert b"\x12\x05\x0a\x03app" in context  # user information with the effective user
    assert b"getFileInfo" in heard
    assert b"getListing" in heard


async def test_a_name_node_that_takes_no_tickets() -> None:
    files = {"kerberos_file_conf": "file:/x", "kerberos_file_keytab": "file:/y"}
    went, peer = await talk(said(0, number(2, 0)), **files)
    assert went.cause == "AUTH.METHOD_UNSUPPORTED"
    assert peer.heard.startswith(b"hrpc\x09\x00\xdf")


#: A NameNode that takes tickets.
BY_TICKET = said(0, number(2, 1) + text(4, text(1, "KERBEROS") + text(2, "GSSAPI") + text(3, "nn") + text(4, "h")))


async def test_without_what_kerberos_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith(("minikerberos", "tasks.kerberos.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "minikerberos", None)
    went, _ = await talk(BY_TICKET, kerberos_file_conf="file:/x", kerberos_file_keytab="file:/y")
    assert went.cause == "DRIVER.MISSING"
    assert went.seen("login")["extra"] == "kerberos"


async def test_a_keytab_that_is_none() -> None:
    went, peer = await talk(BY_TICKET, kerberos_file_conf="file:/x", kerberos_file_keytab="file:/y")
    assert went.cause == "CONFIG.BAD_VALUE"  # "x" is no krb5.conf
    assert b"getFileInfo" not in peer.heard


def test_a_name_service_is_its_name_nodes() -> None:
    connection = read_entry(get("hdfs"), get("hdfs").example).connection
    assert [(one.host, one.port) for one in connection.endpoints()] == [
        ("nn1.example.com", 8020),
        ("nn2.example.com", 8020),
    ]


@pytest.mark.parametrize("default_fs", ["namenode:8020", "hdfs://", "hdfs://nn/path", "s3://bucket"])
def test_what_is_no_file_system_is_refused(default_fs: str) -> None:
    with pytest.raises(InvalidInputs, match="default_fs"):
        read_entry(get("hdfs"), {"default_fs": default_fs})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went, _ = await talk(*words)
    assert went.cause in causes.catalogue()
