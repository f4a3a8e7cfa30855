"""Driver properties in the words of Python's drivers: an entry has those of JDBC.

A check heeds the same ones. A client without them would see other tables (`currentSchema`) or another server
(`targetServerType`) than the ones that were found Connectable. What concerns TLS is read elsewhere
(`registry.connection.tls`); what only a JDBC driver knows, such as the size of its caches, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

#: What becomes of a value: arguments of the driver; none where it says nothing to it.
Reading = Callable[[str], Mapping[str, Any]]


def _as(name: str) -> Reading:
    return lambda value: {name: value}


def _whole(*names: str, per_second: int = 1) -> Reading:
    """A number above 0; a driver that counts in seconds gets at least one. JDBC's 0 means for ever."""

    def read(value: str) -> Mapping[str, Any]:
        number = int(value) if value.isdecimal() else 0
        return dict.fromkeys(names, math.ceil(number / per_second)) if number > 0 else {}

    return read


def _one_of(name: str, known: Mapping[str, Any]) -> Reading:
    def read(value: str) -> Mapping[str, Any]:
        return {name: known[value.lower()]} if value.lower() in known else {}

    return read


def _setting(name: str) -> Reading:
    """A setting of the session, in the form of the command line of `postgres` (libpq's `options`)."""

    def read(value: str) -> Mapping[str, Any]:
        escaped = value.replace("\\", "\\\\").replace(" ", "\\ ")
        return {"options": f"-c {name}={escaped}"}

    return read


def _if_true(reading: Reading, value: str) -> Reading:
    return lambda said: reading(value) if said.lower() == "true" else {}


_SERVERS = {
    **{word: word for word in ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")},
    "master": "read-write",
    "slave": "standby",
    "secondary": "standby",
    "preferslave": "prefer-standby",
    "prefersecondary": "prefer-standby",
}
_RANDOM = {"true": "random", "random": "random"}
_CHARACTER_SETS = {
    **dict.fromkeys(("utf-8", "utf8", "utf8mb4"), "utf8mb4"),
    **dict.fromkeys(("latin1", "iso-8859-1", "iso8859_1", "cp1252"), "latin1"),
    **{word: word for word in ("gbk", "gb2312", "gb18030", "big5", "ascii")},
}

#: Protocol -> property in small letters -> what it says to the driver.
READINGS: Mapping[str, Mapping[str, Reading]] = {
    "postgresql": {
        **dict.fromkeys(("applicationname", "application_name"), _as("application_name")),
        **dict.fromkeys(("connecttimeout", "connect_timeout", "logintimeout"), _whole("connect_timeout")),
        **dict.fromkeys(("targetservertype", "target_session_attrs"), _one_of("target_session_attrs", _SERVERS)),
        **dict.fromkeys(("loadbalancehosts", "load_balance_hosts"), _one_of("load_balance_hosts", _RANDOM)),
        **{name: _whole(name) for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")},
        "tcp_user_timeout": _whole("tcp_user_timeout"),
        "currentschema": _setting("search_path"),
        "readonly": _if_true(_setting("default_transaction_read_only"), "on"),
    },
    "mysql": {
        "connecttimeout": _whole("connect_timeout", per_second=1000),
        "sockettimeout": _whole("read_timeout", "write_timeout", per_second=1000),
        **dict.fromkeys(("characterencoding", "characterset"), _one_of("charset", _CHARACTER_SETS)),
        "sessionvariables": lambda value: {"init_command": f"SET {value}"},
    },
    "oracle": {"oracle.net.connect_timeout": _whole("tcp_connect_timeout", per_second=1000)},
    "sqlserver": {"applicationname": _as("appname"), "logintimeout": _whole("login_timeout")},
}


def arguments(protocol: str, properties: Mapping[str, str]) -> dict[str, Any]:
    """What the properties of an entry say to the driver of its protocol."""
    known = READINGS.get(protocol, {})
    found: dict[str, Any] = {}
    for name, value in properties.items():
        said = known[name.lower()](str(value)) if name.lower() in known else {}
        if "options" in said and "options" in found:
            said = {"options": f"{found['options']} {said['options']}"}
        found |= said
    return found
