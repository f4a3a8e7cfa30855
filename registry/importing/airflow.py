"""`airflow connections export`, as JSON or YAML; and the files of Airflow's local secrets backend.

    {CONNECTION_ID: {conn_type, description, login, password, host, port, schema, extra}}
    {CONNECTION_ID: "postgres://login:password@host:5432/schema?option=value"}

In the URI form everything is percent-encoded, a `-` in the scheme stands for `_` in the type, and `__extra__` holds
what no flat option can (Airflow documentation, "Managing Connections", URI format). Either form, as text, is what
variables named `AIRFLOW_CONN_...` and files of them hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from registry.importing import Context, Format, Item, NotTaken, Taken
from registry.importing.mapping import fields_of, type_of
from registry.importing.parts import Parts, embedded, secret, shown, text

_EXTRA = "__extra__"
#: Types of connections that name something else than a database, although a data source type is called so.
_NO_DATABASE = {"spark": "it names the master of a Spark cluster, which is no database"}


def _recognises(data: Any) -> bool:
    if not isinstance(data, dict) or not data:
        return False
    return all(_is_one(each) for one in data.values() for each in (one if isinstance(one, list) and one else [one]))


def _is_one(value: Any) -> bool:
    """A URI, fields, or fields as JSON text."""
    if isinstance(value, str):
        return "://" in value or _is_json(value)
    return isinstance(value, dict) and "conn_type" in value


def _is_json(value: str) -> bool:
    return value.lstrip().startswith("{") and '"conn_type"' in value


def _items(data: Any, context: Context) -> Iterator[Item]:
    for name, raw in data.items() if isinstance(data, dict) else ():
        yield Item((name,), name, lambda raw=raw: _taken(raw, context))  # type: ignore[misc]


def _taken(raw: Any, context: Context) -> Taken:
    if isinstance(raw, list) and len(raw) == 1:
        (raw,) = raw
    if isinstance(raw, list):
        raise NotTaken("several connections stand under one id", "keep one of them")
    given = raw
    if isinstance(raw, str):
        given = embedded(raw, "value") if _is_json(raw) else _of_uri(raw)
    if not isinstance(given, Mapping):
        raise NotTaken("it is neither a mapping of fields nor a URI")
    said = text(given.get("conn_type")).lower()
    if said in _NO_DATABASE:
        raise NotTaken(_NO_DATABASE[said])
    if said == "jdbc":
        return _of_jdbc(given, context)
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


def _of_jdbc(given: Mapping[str, Any], context: Context) -> Taken:
    """A connection of the provider for JDBC: its host is the whole URL."""
    url = text(given.get("host"))
    scheme = url.removeprefix("jdbc:").partition(":")[0]
    if not url.startswith("jdbc:") or not scheme:
        raise NotTaken("its host is no JDBC URL (not shown)")
    type_ = type_of(scheme)
    fields = {"jdbc_url": url, "username": text(given.get("login")), "password": secret(given.get("password"))}
    kept = {name: value for name, value in fields.items() if value not in (None, "")}
    extra = embedded(given.get("extra_dejson") or given.get("extra"), "extra")
    lost = [f"{shown(key)} is left out: {type_.name} has no field for it" for key in extra]
    return Taken(type_.name, {context.side: kept}, text(given.get("description")), lost)


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
