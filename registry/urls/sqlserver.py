"""`jdbc:sqlserver://host\\instance:port;key=value;key={va;lue}` (Microsoft's JDBC driver)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from registry.errors import InvalidInput
from registry.urls.normal import normal_database, normal_host, normal_port, refuse_invisible
from registry.urls.parsed import ParsedUrl, address_fields, endpoint, parameters, same, written_endpoint

EXAMPLE = "jdbc:sqlserver://db.example.com:1433;databaseName=orders;encrypt=true"
DEFAULT_PORT = 1433

_KEY = re.compile(r"\s*([^;={}]+?)\s*=\s*")
#: In braces every character stands for itself, and a closing brace is written twice.
_BRACED = re.compile(r"\{((?:[^}]|\}\})*)\}\s*(?=;|$)")
_INSTANCE = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,30}")
_NEEDS_BRACES = re.compile(r"[;{}\s=%#]")

_ENDPOINT_WORDS = ("servername", "server", "portnumber", "port", "databasename", "database", "instancename")


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Host, port, instance and database stand before the first `;` or among the parameters, which must agree."""
    if "#" in re.sub(_BRACED, "", rest):
        raise ValueError("a '#' has no meaning in it; put a value with one in braces, as in {a#b}")
    if not rest.startswith("//"):
        raise ValueError("'//' is missing after the scheme")
    server, _, tail = rest[2:].partition(";")
    given = parameters(_pairs(tail), encoded=False)
    words = {key.lower(): value for key, value in given.properties.items() if key.lower() in _ENDPOINT_WORDS}
    database = same(words.get("databasename"), words.get("database"), "the database")
    instance, found = _server(server, words)
    return ParsedUrl(
        scheme,
        "",
        (found,),
        normal_database(database) if database else None,
        given.username,
        given.password,
        {key: value for key, value in given.properties.items() if key.lower() not in words},
        {"instance": instance} if instance else {},
    )


def _server(server: str, words: dict[str, str]) -> tuple[str, tuple[str, int | None]]:
    host, backslash, behind = server.partition("\\")
    instance, colon, port = behind.partition(":") if backslash else ("", "", "")
    before: tuple[str | None, int | None] = endpoint(host + colon + port) if host else (None, None)
    said = words.get("servername") or words.get("server")
    name = same(before[0], normal_host(said) if said else None, "the host")
    number = words.get("portnumber") or words.get("port")
    chosen = same(str(before[1]) if before[1] else None, str(normal_port(number)) if number else None, "the port")
    instance = same(instance, words.get("instancename"), "the instance") or ""
    if instance and not _INSTANCE.fullmatch(instance):
        raise ValueError("an instance is named with letters, digits, '_', '$' and '-'")
    return instance, (name or "localhost", int(chosen) if chosen else None)


def _pairs(text: str) -> list[tuple[str, str]]:
    """`k=v;k={v}` as pairs.

    Raises:
        ValueError: A piece without `=`, or an open brace.
    """
    found: list[tuple[str, str]] = []
    position = 0
    while text[position:].strip(" ;"):
        position += len(text[position:]) - len(text[position:].lstrip(" ;"))
        key = _KEY.match(text, position)
        if not key:
            raise ValueError("a parameter has no '='; put a value with ';' in braces, as in {a;b}")
        value, position = _value(text, key.end())
        found.append((key[1], value))
    return found


def _value(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] != "{":
        end = text.find(";", position)
        end = len(text) if end < 0 else end
        return refuse_invisible(text[position:end].strip()), end
    braced = _BRACED.match(text, position)
    if not braced:
        raise ValueError("a brace is not closed; inside braces write '}' twice")
    return braced[1].replace("}}", "}"), braced.end()


def build(url: ParsedUrl) -> str:
    """Everything but the password."""
    host, port = url.endpoints[0]
    instance = f"\\{url.options['instance']}" if url.options.get("instance") else ""
    where = written_endpoint(host, None) + instance + (f":{port}" if port else "")
    words = {"databaseName": url.database, "user": url.username, **url.properties}
    tail = "".join(f";{key}={_written(value)}" for key, value in words.items() if value)
    return f"{url.scheme}://{where}{tail}"


def _written(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}" if _NEEDS_BRACES.search(value) else value


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives.

    Raises:
        InvalidInput: A named instance without its port: a browser service on UDP 1434 would have to be asked for it.
    """
    if url.options.get("instance") and any(port is None for _, port in url.endpoints):
        raise InvalidInput(
            f"the port of the instance {url.options['instance']} is missing",
            where="jdbc_url",
            instruction="give the port that the instance listens on, as in jdbc:sqlserver://host:1433",
            code="CONFIG.BAD_VALUE",
        )
    return address_fields(replace(url, options={}), default_port)


def scheme_of(connection: Any) -> str:
    """Microsoft's."""
    return "jdbc:sqlserver"
