"""What a URL says, and the grammar that most URLs share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from registry.urls.normal import (
    decoded,
    decoded_once,
    normal_database,
    normal_host,
    normal_key,
    normal_port,
    quoted_database,
    refuse_invisible,
)


@dataclass(frozen=True)
class ParsedUrl:
    """A URL taken apart and normalised.

    Attributes:
        scheme: As written, lower case: ``jdbc:mysql``, ``postgresql``.
        type_name: The data source type that the scheme names.
        endpoints: Host and port of each server; the port is None where the URL leaves it to the default.
        database: None where the URL names none.
        username: None where the URL names none.
        password: Moved out of the URL; never in `properties`.
        properties: Its parameters, normalised but not yet filtered.
        options: What only this kind of URL says, by name (``topology`` of MySQL, ``sid`` of Oracle, ``path`` of HTTP).
    """

    scheme: str
    type_name: str
    endpoints: tuple[tuple[str, int | None], ...] = ()
    database: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a URL, with the credentials apart."""

    properties: Mapping[str, str] = field(default_factory=dict)
    username: str | None = None
    password: SecretStr | None = None


_USER_KEYS = ("user", "username")
_PASSWORD_KEYS = ("password", "passwd", "pwd", "pass")


def parameters(pairs: Iterable[tuple[str, str]], *, encoded: bool = True) -> Parameters:
    """Parameters by their normal keys; a key given twice must say the same both times.

    Args:
        pairs: Key and value as they stand in the URL.
        encoded: Whether values are percent-encoded. Credentials lose one layer of encoding, for a password may hold
            a percent sign; everything else loses all of them.

    Raises:
        ValueError: A key given twice with different values, or a value encoded too often.
    """
    spelling: dict[str, str] = {}
    values: dict[str, str] = {}
    for raw_key, raw_value in pairs:
        key = normal_key(raw_key)
        folded = key.lower()
        if folded in _USER_KEYS or folded in _PASSWORD_KEYS:
            folded = "user" if folded in _USER_KEYS else "password"
            value = decoded_once(raw_value) if encoded else raw_value
        else:
            value = decoded(raw_value).strip()
        if values.setdefault(folded, value) != value:
            raise ValueError(f"{shown_key(key)} is given twice with different values")
        spelling.setdefault(folded, key)
    user, password = values.pop("user", None), values.pop("password", None)
    return Parameters(
        {spelling[folded]: value for folded, value in values.items()},
        refuse_invisible(user.strip()) if user else None,
        SecretStr(refuse_invisible(password)) if password else None,
    )


def shown_key(key: str) -> str:
    """A key fit for a message: what does not look like one may be a piece of a password."""
    return key if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}", key) else "a parameter with an unreadable name"


def split_pairs(query: str, separator: str = "&") -> list[tuple[str, str]]:
    """`k=v&k=v` as pairs.

    Raises:
        ValueError: A piece without `=`: it may be the rest of a password with a separator in it.
    """
    pieces = [piece for piece in query.split(separator) if piece.strip()]
    if any("=" not in piece for piece in pieces):
        raise ValueError(f"a parameter has no '='; inside a value write {separator!r} as %{ord(separator):02X}")
    return [(key, value) for key, _, value in (piece.partition("=") for piece in pieces)]


@dataclass(frozen=True)
class Parts:
    """The outer grammar: `//authority/path?query`, nothing decoded yet."""

    authority: str
    path: str
    query: str


def parts(rest: str) -> Parts:
    """The text after the scheme's colon, split at its raw delimiters.

    Raises:
        ValueError: It does not begin with `//`, or has a fragment.
    """
    if "#" in rest:
        raise ValueError("a '#' has no meaning in it; inside a value write %23")
    if not rest.startswith("//"):
        raise ValueError("'//' is missing after the scheme")
    head, _, query = rest[2:].partition("?")
    authority, _, path = head.partition("/")
    return Parts(authority, path, query)


def userinfo(authority: str) -> tuple[str, str | None, SecretStr | None]:
    """The hosts, the user and the password of `user:password@hosts`.

    Raises:
        ValueError: More than one `@`: parsers disagree on which one counts.
    """
    if authority.count("@") > 1:
        raise ValueError("more than one '@'; inside a user name or password write %40")
    info, at, hosts = authority.rpartition("@")
    if not at:
        return authority, None, None
    user, colon, password = info.partition(":")
    return (
        hosts,
        refuse_invisible(decoded_once(user)) or None,
        SecretStr(refuse_invisible(decoded_once(password))) if colon and password else None,
    )


def endpoints(hosts: str) -> tuple[tuple[str, int | None], ...]:
    """`h1:p1,[::1]:p2` as host and port pairs.

    Raises:
        ValueError: An empty or impossible host or port.
    """
    return tuple(endpoint(host) for host in hosts.split(",")) if hosts else ()


def endpoint(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[ipv6]` or `[ipv6]:port`.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address stands in brackets, as in [2001:db8::1]:5432")
        return normal_host(host + bracket), normal_port(rest[1:]) if rest else None
    if text.count(":") > 1:
        raise ValueError("an IPv6 address stands in brackets, as in [2001:db8::1]:5432")
    host, colon, port = text.partition(":")
    # libpq allows `host:` with nothing behind it.
    return normal_host(host), normal_port(port) if colon and port else None


def same(first: str | None, second: str | None, what: str) -> str | None:
    """The one that is given.

    Raises:
        ValueError: Both are, and differ.
    """
    if first and second and first != second:
        raise ValueError(f"{what} is given twice with different values")
    return first or second


def same_secret(first: SecretStr | None, second: SecretStr | None) -> SecretStr | None:
    """The one that is given.

    Raises:
        ValueError: Both are, and differ.
    """
    if first and second and first != second:
        raise ValueError("the password is given twice with different values")
    return first or second


def database_of(path: str) -> str | None:
    """The database that the path names, None for an empty path.

    Raises:
        ValueError: It holds a character that could end the database part of a URL.
    """
    name = decoded(path).strip()
    return normal_database(name) if name else None


def quoted_database_of(path: str) -> str | None:
    """As `database_of`, where a name may hold any character that is encoded in the path.

    Raises:
        ValueError: A character is not encoded, or parameters are, together with the name.
    """
    return quoted_database(path.strip()) or None


#: How the path of a URL names a database. Raises `ValueError`.
DatabaseOf = Callable[[str], str | None]


def addressed(
    scheme: str, split: Parts, pairs: Iterable[tuple[str, str]], named: DatabaseOf = database_of
) -> ParsedUrl:
    """Hosts, the database behind them, and parameters; user and password before the hosts or among the parameters.

    Args:
        split: The parts of the URL.
        pairs: Its parameters, as they stand in it.
        named: How the path names the database.

    Raises:
        ValueError: A part is malformed, or what is said twice differs.
    """
    hosts, username, password = userinfo(split.authority)
    url = ParsedUrl(scheme, "", endpoints(hosts), None, username, password)
    return with_parameters(url, split.path, pairs, named)


def with_parameters(
    url: ParsedUrl, path: str, pairs: Iterable[tuple[str, str]], named: DatabaseOf = database_of
) -> ParsedUrl:
    """A URL whose hosts and account are read, with the database of its path and its parameters.

    Raises:
        ValueError: The path or a parameter is malformed, or the account is said twice and differs.
    """
    given = parameters(pairs)
    return replace(
        url,
        database=named(path),
        username=same(url.username, given.username, "the user"),
        password=same_secret(url.password, given.password),
        properties=given.properties,
    )


def with_a_host(url: ParsedUrl) -> ParsedUrl:
    """The URL itself.

    Raises:
        ValueError: It names no host.
    """
    if not url.endpoints:
        raise ValueError("a host is needed after '//'")
    return url


def written_endpoint(host: str, port: int | None) -> str:
    """`host:port` for a URL, IPv6 in brackets, a socket path encoded."""
    text = f"[{host.replace('%', '%25')}]" if ":" in host else quote(host, safe="")
    return text if port is None else f"{text}:{port}"


def written_endpoints(url: ParsedUrl) -> str:
    """The hosts and ports for a URL."""
    return ",".join(written_endpoint(host, port) for host, port in url.endpoints)


def written_database(url: ParsedUrl) -> str:
    """The database for the path of a URL."""
    return quote(url.database or "", safe="")


def user_parameter(url: ParsedUrl) -> dict[str, str]:
    """The user as a parameter, for the drivers that know none before the hosts."""
    return {"user": url.username} if url.username else {}


def written_query(properties: Mapping[str, str]) -> str:
    """`?k=v&k=v`, everything encoded, or nothing."""
    pairs = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in properties.items())
    return f"?{pairs}" if pairs else ""


def written_user(username: str | None) -> str:
    """`user@`, or nothing."""
    return f"{quote(username, safe='')}@" if username else ""


def address_fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that most URLs give."""
    found: dict[str, Any] = {
        "address": [{"host": host, "port": port or default_port} for host, port in url.endpoints],
        "database": url.database,
        "username": url.username,
        "password": url.password,
        "properties": dict(url.properties),
    }
    return {name: value for name, value in found.items() if value}
