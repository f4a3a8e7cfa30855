"""`airflow connections export`, as JSON or YAML; and the files of Airflow's local secrets backend.

    {CONNECTION_ID: {conn_type, description, login, password, host, port, schema, extra}}
    {CONNECTION_ID: "postgres://login:password@host:5432/schema?option=value"}

In the URI form everything is percent-encoded, a `-` in the scheme stands for `_` in the type, and `__extra__` holds
what no flat option can (Airflow documentation, "Managing Connections", URI format).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from registry.importing import Context, Format, Item, NotTaken, Taken
from registry.importing.mapping import Parts, embedded, fields_of, secret, text, type_of

_EXTRA = "__extra__"


def _recognises(data: Any) -> bool:
    if not isinstance(data, dict) or not data:
        return False
    return all(_is_uri(one) or (isinstance(one, dict) and "conn_type" in one) for one in data.values())


def _is_uri(value: Any) -> bool:
    return isinstance(value, str) and "://" in value


def _items(data: Any, context: Context) -> Iterator[Item]:
    for name, raw in data.items() if isinstance(data, dict) else ():
        yield Item((name,), name, lambda raw=raw: _taken(raw, context))  # type: ignore[misc]


def _taken(raw: Any, context: Context) -> Taken:
    if isinstance(raw, list):
        raise NotTaken("several connections stand under one id", "keep one of them")
    given = _of_uri(raw) if isinstance(raw, str) else raw
    if not isinstance(given, Mapping):
        raise NotTaken("it is neither a mapping of fields nor a URI")
    type_ = type_of(given.get("conn_type"))
    extra = embedded(given.get("extra_dejson") or given.get("extra"), "extra")
    # Older exports write the settings of a provider with its name before them: `extra__snowflake__account`.
    extra = {key.rpartition("__")[2] if key.startswith("extra__") else key: value for key, value in extra.items()}
    parts = Parts(
        host=text(given.get("host")),
        port=given.get("port"),
        database=text(given.get("schema")),
        username=text(given.get("login")),
        password=secret(given.get("password")),
        extra=extra,
    )
    fields, remarks = fields_of(type_, parts)
    return Taken(type_.name, {context.side: fields}, text(given.get("description")), remarks)


def _of_uri(uri: str) -> dict[str, Any]:
    try:
        found = urlsplit(uri.strip())
        port = found.port
    except ValueError:
        raise NotTaken("its URI is malformed (not shown)") from None
    if not found.scheme:
        raise NotTaken("its URI names no type (not shown)")
    options: dict[str, Any] = dict(parse_qsl(found.query, keep_blank_values=True))
    extra = {**options, **embedded(options.pop(_EXTRA, ""), "extra")}
    return {
        "conn_type": found.scheme.replace("-", "_"),
        "host": unquote(found.hostname or ""),
        "port": port,
        "schema": unquote(found.path.removeprefix("/")),
        "login": unquote(found.username or ""),
        "password": unquote(found.password or ""),
        "extra": {key: value for key, value in extra.items() if key != _EXTRA},
    }


FORMAT = Format("airflow", "connections of `airflow connections export`", _recognises, _items)
