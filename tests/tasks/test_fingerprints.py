"""First bytes of real servers are recognised, and noise is not."""

from __future__ import annotations

import pytest

from tasks.fingerprints import identify


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"<html><body>", "HTTP"),
        (bytes.fromhex("000012040000000000" + "000300000080"), "HTTP/2"),
        (bytes.fromhex("000000040000000000"), "HTTP/2"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH"),
        (b"Exceeded MaxStartups\r\n", "SSH"),
        (b"220 mail.example ESMTP Postfix\r\n", "SMTP"),
        (b"220 (vsFTPd 3.0.3)\r\n", "FTP"),
        (b"421 Too many users\r\n", "FTP"),
        (b"-ERR unknown command\r\n", "Redis"),
        (b"+PONG\r\n", "Redis"),
        (b"+OK POP3 ready\r\n", "POP3"),
        (b"* OK IMAP4rev1\r\n", "IMAP"),
        (bytes.fromhex("4a0000000a382e302e333600"), "MySQL"),
        (bytes.fromhex("45000000ff6a04") + b"Host is blocked", "MySQL"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"\x16\x03\x03\x00\x7a\x02\x00", "TLS"),
        (b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM", "PostgreSQL"),
        (b"E\x00\x00\x00\x60SFATAL\x00", "PostgreSQL"),
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"\x01\x00\x00\x00\x00\x01\xf8\x00\x0a\x00\x0a\x00\x09", "AMQP"),
        (b"RFB 003.008\n", "VNC"),
        (b"ERROR\r\n", "Memcached"),
        (b"\x00\x00\x00\x25\x00\x00\x00\x00\x00\x00\x27\x10\x01\x00", "ZooKeeper"),
        (b"Zookeeper version: 3.4.13-5, built on", "ZooKeeper"),
        (b"srvr is not executed because it is not in the whitelist.\n", "ZooKeeper"),
        (b"This ZooKeeper instance is not currently serving requests\n", "ZooKeeper"),
        (b"\x00\x0aClickHouse\x12\x10", "ClickHouse"),
        (b"\x02\xc1\x00\x00\x00\x0dDB::Exception", "ClickHouse"),
        (b"VERSION 1.6.18\r\n", "Memcached"),
        (b"CLIENT_ERROR unauthenticated\r\n", "Memcached"),
        (b"\x81\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06", "Memcached"),
        (b"\xff\xfd\x18\xff\xfd\x20", "Telnet"),
        (bytes.fromhex("0085d0420001007f1443001d115e"), "Db2"),
        (bytes.fromhex("0401002b000001000000"), "SQL Server"),
        (bytes.fromhex("004a0000040000002200003e") + b"(DESCRIPTION=", "Oracle"),
        (bytes.fromhex("3501000002000000" + "01000000dd070000" + "0000000000"), "MongoDB"),
        (b"", None),
        (b"\x8f\x02\xde\xad\xbe\xef", None),
        (b"hello", None),
    ],
)
def test_identify(first: bytes, name: str | None) -> None:
    assert identify(first) == name
