"""`jdbc:oracle:thin:`: `@//host:port/service`, `@host:port:sid`, and TNS descriptions by an allow-list of nodes.

Names that only a tnsnames.ora or a directory resolves, and the OCI driver, are refused: what they point at depends on
files of the machine that connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr

from registry.urls.normal import decoded_once, normal_host, normal_key, normal_port, refuse_invisible
from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    endpoint,
    parameters,
    same,
    same_secret,
    split_pairs,
    user_parameter,
    written_endpoints,
    written_query,
)

EXAMPLE = "jdbc:oracle:thin:@//db.example.com:1521/orders"
DEFAULT_PORT = 1521

#: The nodes of a TNS description that may stand in a URL; each only names or orders servers.
TNS_NODES = frozenset(
    {
        "DESCRIPTION",
        "DESCRIPTION_LIST",
        "ADDRESS",
        "ADDRESS_LIST",
        "ALIAS",
        "PROTOCOL",
        "HOST",
        "PORT",
        "SOURCE_ROUTE",
        "LOAD_BALANCE",
        "FAILOVER",
        "CONNECT_DATA",
        "SID",
        "SERVER",
        "SERVICE_NAME",
        "INSTANCE_NAME",
        "INSTANCE_ROLE",
        "CONNECTION_ID_PREFIX",
    }
)
_GROUPS = ("DESCRIPTION", "DESCRIPTION_LIST", "ADDRESS", "ADDRESS_LIST", "CONNECT_DATA")
_SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_.$-]{0,254}")
_SERVER_MODES = ("dedicated", "shared", "pooled")
_DEEPEST = 8


@dataclass(frozen=True)
class Node:
    """`(NAME=value)` or `(NAME=(..)(..))`."""

    name: str
    value: str
    children: tuple[Node, ...]

    def find(self, name: str) -> Iterator[Node]:
        """Every node of this name, this one and all below it."""
        if self.name == name:
            yield self
        for child in self.children:
            yield from child.find(name)


def parse(scheme: str, rest: str) -> ParsedUrl:
    """One of the three forms, `user/password` before the `@`."""
    driver, _, behind = rest.partition(":")
    if scheme != "jdbc:oracle" or driver.strip().lower() != "thin":
        raise ValueError("the thin driver is the one supported: jdbc:oracle:thin:@//host:port/service")
    if "#" in behind:
        raise ValueError("a '#' has no meaning in it; inside a value write %23")
    if behind.count("@") != 1:
        raise ValueError("one '@' stands before the host; inside a user name or password write %40")
    login, _, target = behind.partition("@")
    target, _, query = target.partition("?")
    given = parameters(split_pairs(query))
    user, _, secret = login.strip().partition("/")
    username = same(refuse_invisible(decoded_once(user)) or None, given.username, "the user")
    password = same_secret(SecretStr(refuse_invisible(decoded_once(secret))) if secret else None, given.password)
    found, options = _target(target.strip())
    return ParsedUrl(scheme, "", found, options.get("service"), username, password, given.properties, options)


def _target(text: str) -> tuple[tuple[tuple[str, int | None], ...], dict[str, str]]:
    if text.startswith("("):
        return _of_description(text)
    protocol = re.match(r"(tcps?):(?=//)", text, re.IGNORECASE)
    if protocol:
        text = text[protocol.end() :]
    options = {"protocol": "tcps"} if protocol and protocol[1].lower() == "tcps" else {}
    hosts, slash, service = text.removeprefix("//").partition("/")
    if slash:
        service, _, mode = service.partition(":")
        if mode and mode.lower() not in _SERVER_MODES:
            raise ValueError(f"behind the service stands nothing, or one of {', '.join(_SERVER_MODES)}")
        return tuple(endpoint(host) for host in hosts.split(",")), options | {"service": _service(service)}
    host, colon, sid = hosts.rpartition(":")
    if text.startswith("//") or not colon or ":" not in host:
        raise ValueError("a host, a port and a service or SID are needed; names from tnsnames.ora are not looked up")
    return (endpoint(host),), options | {"sid": _service(sid)}


def _service(text: str) -> str:
    if not _SERVICE.fullmatch(text):
        raise ValueError("a service name or SID has letters, digits, '_', '.', '$' and '-'")
    return text


def _of_description(text: str) -> tuple[tuple[tuple[str, int | None], ...], dict[str, str]]:
    root = description(text)
    found = []
    protocols = set()
    for address in root.find("ADDRESS"):
        words = {child.name: child.value for child in address.children}
        protocols.add(words.get("PROTOCOL", "TCP").lower())
        if "HOST" not in words:
            raise ValueError("an ADDRESS has no HOST")
        found.append((normal_host(words["HOST"]), normal_port(words["PORT"]) if "PORT" in words else None))
    if not found or not protocols <= {"tcp", "tcps"} or len(protocols) > 1:
        raise ValueError("a description has at least one ADDRESS, and all have PROTOCOL TCP or all TCPS")
    options = {"protocol": "tcps"} if protocols == {"tcps"} else {}
    for node, option in (("SERVICE_NAME", "service"), ("SID", "sid")):
        if values := {one.value for one in root.find(node)}:
            if len(values) > 1:
                raise ValueError(f"{node} is given twice with different values")
            options[option] = _service(values.pop())
    if "service" not in options and "sid" not in options:
        raise ValueError("a description needs SERVICE_NAME or SID in CONNECT_DATA")
    return tuple(found), options


def description(text: str) -> Node:
    """A TNS description as a tree of allowed nodes.

    Raises:
        ValueError: It is no tree, is deeper than any real one, or holds a node that is not on the list.
    """
    if not text.isascii() or "%" in text:
        raise ValueError("a description is plain ASCII without percent-encoding")
    node, rest = _node(refuse_invisible(text), 0)
    if rest.strip():
        raise ValueError("something stands behind the description")
    return node


def _node(text: str, depth: int) -> tuple[Node, str]:
    opening = re.match(r"\s*\(\s*([A-Za-z_]+)\s*=\s*", text)
    if not opening or depth > _DEEPEST:
        raise ValueError("a description is written (DESCRIPTION=(ADDRESS=...)(CONNECT_DATA=...))")
    name = normal_key(opening[1]).upper()
    if name not in TNS_NODES:
        raise ValueError(f"{name if len(name) <= 40 else 'a node'} may not stand in a description")
    rest = text[opening.end() :]
    children: list[Node] = []
    if rest.startswith("("):
        if name not in _GROUPS:
            raise ValueError(f"{name} is a value, not a group")
        while rest.lstrip().startswith("("):
            child, rest = _node(rest, depth + 1)
            children.append(child)
        value = ""
    else:
        plain = re.match(r"[^()=]*", rest)
        value = plain[0].strip() if plain else ""
        rest = rest[len(plain[0]) :] if plain else rest
    closing = re.match(r"\s*\)", rest)
    if not closing or (not value and not children):
        raise ValueError("a parenthesis is not closed, or a node is empty")
    return Node(name, value, tuple(children)), rest[closing.end() :]


def build(url: ParsedUrl) -> str:
    """The URL form, or a description where there is a SID."""
    query = written_query({**user_parameter(url), **url.properties})
    if "sid" in url.options:
        where = _written_description(url)
    else:
        hosts = written_endpoints(url)
        tcps = "tcps:" if url.options.get("protocol") == "tcps" else ""
        where = f"{tcps}//{hosts}/{url.options['service']}"
    return f"{url.scheme}:thin:@{where}{query}"


def _written_description(url: ParsedUrl) -> str:
    protocol = url.options.get("protocol", "tcp").upper()
    addresses = "".join(
        f"(ADDRESS=(PROTOCOL={protocol})(HOST={host}){f'(PORT={port})' if port else ''})"
        for host, port in url.endpoints
    )
    data = "".join(
        f"({node}={url.options[option]})"
        for node, option in (("SERVICE_NAME", "service"), ("SID", "sid"))
        if option in url.options
    )
    return f"(DESCRIPTION={addresses}(CONNECT_DATA={data}))"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    found = address_fields(replace(url, database=None), default_port)
    names = {"service_name": url.options.get("service"), "sid": url.options.get("sid")}
    over_tls = {"security_protocol": "authTypeSsl"} if url.options.get("protocol") == "tcps" else {}
    return {**found, **{name: value for name, value in names.items() if value}, **over_tls}


def scheme_of(connection: Any) -> str:
    """The JDBC driver's."""
    return "jdbc:oracle"


def options_of(connection: Any) -> dict[str, str]:
    """Service, SID, and whether TLS is spoken."""
    said = {"service": connection.service_name, "sid": connection.sid}
    over_tls = {"protocol": "tcps"} if connection.tls().mode != "disable" else {}
    return {**{name: value for name, value in said.items() if value}, **over_tls}
