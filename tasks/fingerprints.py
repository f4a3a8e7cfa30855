"""Which protocol the first bytes of a peer belong to."""

from __future__ import annotations

import re

#: Pattern of the first bytes -> the protocol's name for people. The first that fits counts.
_FINGERPRINTS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb"HTTP/\d", "HTTP"),
        # The server's preface: a SETTINGS frame of settings of 6 bytes, for the connection (RFC 9113, section 3.4).
        (rb"\x00\x00[\x00-\x60]\x04\x00\x00\x00\x00\x00", "HTTP/2"),
        # sshd, where too many others are logging in, says that in the place of its version.
        (rb"SSH-\d|Exceeded MaxStartups", "SSH"),
        (rb"RFB \d{3}\.", "VNC"),
        (rb"\* (OK|PREAUTH|BYE)", "IMAP"),
        (rb"\+OK|-ERR .*POP", "POP3"),
        (rb"[-+$:*](?:ERR|PONG|NOAUTH|DENIED|WRONGTYPE|OK|LOADING|\d)", "Redis"),
        (rb"220[ -].*(?:SMTP|ESMTP|mail)", "SMTP"),
        (rb"(?:220|421|530)[ -]", "FTP"),
        # The header of another version, or connection.start (class 10, method 10) on channel 0.
        (rb"AMQP|\x01\x00\x00....\x00\x0a\x00\x0a", "AMQP"),
        (rb"INFO \{", "NATS"),
        (rb"Zookeeper version: |This ZooKeeper instance|[a-z]{4} is not executed because it is not in", "ZooKeeper"),
        # The answer to a session request: its length, protocol version 0, a time out below 18 hours.
        (rb"\x00\x00\x00[\x24\x25]\x00\x00\x00\x00[\x00-\x03]...", "ZooKeeper"),
        # IAC and a negotiation verb (RFC 854).
        (rb"\xff[\xfb-\xfe]", "Telnet"),
        # Hello (packet 0) with the server's name, or an exception (packet 2): a code and the name of its class.
        (rb"\x00\x0aClickHouse|\x02....\x0dDB::Exception", "ClickHouse"),
        (rb"(?:VERSION \d|(?:ERROR|CLIENT_ERROR|SERVER_ERROR)(?: [ -~]*)?\r\n)", "Memcached"),
        # A response of the binary protocol (magic, opcode version) without key and extras.
        (rb"\x81\x0b\x00\x00\x00\x00", "Memcached"),
        # A packet header (3 bytes length, sequence 0), then protocol version 10 and a version string, or an error.
        (rb"...\x00(?:\x0a[0-9.]|\xff..)", "MySQL"),
        (rb"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00", "MySQL X"),
        (rb"[\x15\x16]\x03[\x00-\x04]", "TLS"),
        # ErrorResponse or authentication request with a plausible length.
        (rb"[ER]\x00\x00[\x00-\x10].", "PostgreSQL"),
        (rb"<(?:!DOCTYPE|html)", "HTTP"),
        # A reply or object of DRDA: length, magic, kind with chaining.
        (rb"[\x00-\x7f].\xd0[\x02\x03\x12\x13\x42\x43\x52\x53]", "Db2"),
        # ACCEPT, REFUSE, REDIRECT or RESEND of a listener: length, no checksums.
        (rb"[\x00-\x20][\x08-\xff]\x00\x00[\x02\x04\x05\x0b][\x00-\x0f]\x00\x00", "Oracle"),
        # OP_MSG, or OP_REPLY, below 48 MB: length, number, number answered, operation.
        (rb"...[\x00-\x02].{8}(?:\xdd\x07\x00\x00|\x01\x00\x00\x00)", "MongoDB"),
        # A whole answer (type 4) to a PRELOGIN: its length, process 0, packet 0 or 1, window 0.
        (rb"\x04\x01[\x00-\x10].\x00\x00[\x00\x01]\x00", "SQL Server"),
    )
)


def identify(first_bytes: bytes) -> str | None:
    """The protocol's name for people; None when no pattern fits."""
    return next((name for pattern, name in _FINGERPRINTS if pattern.match(first_bytes)), None)
