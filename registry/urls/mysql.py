"""`jdbc:mysql:` and its relatives (Connector/J, MariaDB Connector/J), and `mysql://`.

Connector/J's dialect: topologies (`loadbalance`, `replication`), hosts as `address=(host=..)(port=..)` or
`(host=..,port=..)`, a user before each host.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from registry.urls.normal import is_socket, normal_host, normal_port
from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    endpoint,
    parameters,
    parts,
    quoted_database_of,
    same,
    same_secret,
    split_pairs,
    user_parameter,
    userinfo,
    with_parameters,
    written_database,
    written_endpoints,
    written_query,
    written_user,
)

EXAMPLE = "jdbc:mysql://db.example.com:3306/orders"
DEFAULT_PORT = 3306

#: What may stand between the scheme and `//`: Connector/J's and MariaDB's ways to choose among the hosts.
TOPOLOGIES = ("loadbalance", "replication", "sequential", "failover", "aurora", "load-balance-read")

_GROUP = re.compile(r"\(([^()=]+)=([^()]*)\)")
_HOST_WORDS = ("host", "port", "protocol", "type", "priority", "user", "password")

_Host = tuple[tuple[str, int | None], str | None, SecretStr | None]


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Everything that Connector/J reads, but for Fabric and DNS SRV, which find their hosts elsewhere."""
    topology, rest = _topology(rest)
    split = parts(rest)
    username, password, found = None, None, []
    for host, user, secret in _hosts(split.authority):
        found.append(host)
        username, password = same(username, user, "the user"), same_secret(password, secret)
    options = {"topology": topology} if topology else {}
    url = ParsedUrl(scheme, "", tuple(found), None, username, password, options=options)
    url = with_parameters(url, split.path, split_pairs(split.query), quoted_database_of)
    return _with_socket(url) if not scheme.startswith("jdbc:") else _with_default_host(url)


def _topology(rest: str) -> tuple[str, str]:
    if rest.startswith("//"):
        return "", rest
    word, _, behind = rest.partition(":")
    if word.lower() == "fabric":
        raise ValueError("MySQL Fabric is not supported: its hosts come from another server; name the hosts themselves")
    if word.lower() not in TOPOLOGIES:
        raise ValueError(f"'//' is missing after the scheme, or one of {', '.join(TOPOLOGIES)}")
    return word.lower(), behind


def _hosts(authority: str) -> list[_Host]:
    if not authority:
        return []
    if "(" not in authority and authority.count("@") == 1:
        # One user before all hosts; a user of its own before each has as many @ as hosts.
        authority, user, secret = userinfo(authority)
        return [(endpoint(host), user, secret) for host in authority.split(",")]
    return [_host(text.strip()) for text in _split_outside_brackets(authority)]


def _split_outside_brackets(text: str) -> list[str]:
    """The text split at commas, but for those between parentheses."""
    pieces, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += char
    return pieces


def _host(text: str) -> _Host:
    text, user, secret = userinfo(text)
    folded = text.lower()
    if folded.startswith("address="):
        groups = text[len("address=") :]
        words = dict(_GROUP.findall(groups))
        if _GROUP.sub("", groups).strip() or len(words) != len(_GROUP.findall(groups)):
            raise ValueError("an address is written address=(host=db.example.com)(port=3306)")
    elif text.startswith("(") and text.endswith(")"):
        words = dict(split_pairs(text[1:-1], ","))
    else:
        return endpoint(text), user, secret
    return _of_words({key.strip().lower(): value.strip() for key, value in words.items()}, user, secret)


def _of_words(words: dict[str, str], user: str | None, secret: SecretStr | None) -> _Host:
    if unknown := sorted(set(words) - set(_HOST_WORDS)):
        raise ValueError(f"an address may say {', '.join(_HOST_WORDS)}; this one says {len(unknown)} other things")
    if "host" not in words or words.get("protocol", "tcp").lower() != "tcp":
        raise ValueError("an address needs a host, and tcp is the only protocol")
    own = parameters([(key, words[key]) for key in ("user", "password") if key in words])
    port = normal_port(words["port"]) if "port" in words else None
    return (normal_host(words["host"]), port), same(user, own.username, "the user"), same_secret(secret, own.password)


def _with_socket(url: ParsedUrl) -> ParsedUrl:
    """`unix_socket`, as Python's drivers name it, in place of a host."""
    key = next((key for key in url.properties if key.lower() == "unix_socket"), None)
    if key is None:
        return _with_default_host(url)
    path = normal_host(url.properties[key])
    if not is_socket(path) or any(host not in ("localhost", path) for host, _ in url.endpoints):
        raise ValueError("unix_socket is an absolute path and takes the place of the host")
    kept = {name: value for name, value in url.properties.items() if name != key}
    return replace(url, endpoints=((path, None),), properties=kept)


def _with_default_host(url: ParsedUrl) -> ParsedUrl:
    return url if url.endpoints else replace(url, endpoints=(("localhost", None),))


def build(url: ParsedUrl) -> str:
    """The user goes into the parameters of a JDBC URL and before the hosts of a native one."""
    hosts = written_endpoints(url)
    database = written_database(url)
    if not url.scheme.startswith("jdbc:"):
        return f"{url.scheme}://{written_user(url.username)}{hosts}/{database}{written_query(url.properties)}"
    topology = url.options.get("topology", "")
    query = written_query({**user_parameter(url), **url.properties})
    return f"{url.scheme}:{topology + ':' if topology else ''}//{hosts}/{database}{query}"


fields = address_fields


def scheme_of(connection: Any) -> str:
    """Connector/J's, unless there is a Unix socket, which it does not know."""
    socket = any(is_socket(endpoint.host) for endpoint in connection.endpoints())
    return "mysql" if socket else "jdbc:mysql"
