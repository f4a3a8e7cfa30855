"""Prefect's blocks of `prefect-sqlalchemy`, as the block documents of the API (`POST /block_documents/filter`).

    {name, data: {connection_info: {driver, username, password, host, port, database, query} | URL}, block_type: {slug}}

`sqlalchemy-connector` has the parts under `connection_info`, `database-credentials` on the outside. Secrets stand
there as asterisks unless the API was asked for them. `references` is what `headwater export --to prefect` adds: where
the value of a hidden field comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from registry.importing import Context, Format, Item, NotTaken, Taken, Where
from registry.importing.mapping import fields_of, type_of
from registry.importing.parts import Parts, embedded, secret, text

CONNECTOR = "sqlalchemy-connector"
CREDENTIALS = "database-credentials"
#: Documents that say the name of their type alone.
_SLUGS = {"sqlalchemy connector": CONNECTOR, "database credentials": CREDENTIALS}


def _documents(data: Any) -> Iterator[tuple[Where, Any]]:
    if isinstance(data, dict) and isinstance(data.get("results"), list):
        yield from ((("results", index), one) for index, one in enumerate(data["results"]))
    elif isinstance(data, list):
        yield from (((index,), one) for index, one in enumerate(data))
    elif isinstance(data, dict):
        yield (), data


def _slug(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    kind = document.get("block_type")
    inner = kind.get("slug") if isinstance(kind, dict) else None
    named = text(document.get("block_type_name"))
    return text(inner or document.get("block_type_slug")) or _SLUGS.get(named.lower(), named)


def _recognises(data: Any) -> bool:
    documents = [one for _, one in _documents(data)]
    return bool(documents) and all(_slug(one) and isinstance(one.get("data"), dict) for one in documents)


def _items(data: Any, context: Context) -> Iterator[Item]:
    for path, raw in _documents(data):
        name = text(raw.get("name")) if isinstance(raw, dict) else ""
        yield Item(path, name, lambda raw=raw: _taken(raw, context))  # type: ignore[misc]


def _taken(raw: Any, context: Context) -> Taken:
    slug = _slug(raw)
    if slug not in (CONNECTOR, CREDENTIALS):
        raise NotTaken(f"a block of type {slug[:60] or '?'} is no connection", f"{CONNECTOR} and {CREDENTIALS} are")
    data = embedded(raw.get("data"), "data")
    given = data.get("connection_info") if slug == CONNECTOR else (data.get("url") or data)
    where = "connection_info.password" if slug == CONNECTOR else "password"
    references = raw.get("references")
    reference = references.get(where) if isinstance(references, dict) else None
    if isinstance(given, str):
        type_, fields = _of_url(given)
        return Taken(type_, {context.side: fields})
    if not isinstance(given, dict):
        raise NotTaken("it has no connection_info")
    dialect = text(given.get("driver")).partition("+")[0]
    type_ = type_of(dialect).name
    query = given.get("query")
    named = _named(type_, text(given.get("database")), query if isinstance(query, Mapping) else {})
    parts = Parts(
        host=text(given.get("host")),
        port=given.get("port"),
        username=text(given.get("username")),
        password=reference if isinstance(reference, str) else secret(given.get("password")),
        **named,
    )
    fields, remarks = fields_of(type_of(dialect), parts)
    if data.get("connect_args"):
        remarks.append("connect_args are left out: they are the driver's own")
    return Taken(type_, {context.side: fields}, remarks=remarks)


def _of_url(url: str) -> tuple[str, dict[str, Any]]:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        raise NotTaken("its URL is malformed (not shown)") from None
    type_ = type_of(found.get_backend_name())
    parts = Parts(
        host=found.host or "",
        port=found.port,
        username=found.username or "",
        password=SecretStr(str(found.password)) if found.password else None,
        **_named(type_.name, found.database or "", found.query),
    )
    return type_.name, fields_of(type_, parts)[0]


def _named(type_: str, database: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """The database and the options; of Oracle, SQLAlchemy takes the database for a SID."""
    if type_ == "oracle" and database and not query.get("service_name"):
        return {"extra": {**query, "sid": database}}
    return {"database": database, "extra": dict(query)}


FORMAT = Format("prefect", "block documents of Prefect (SqlAlchemyConnector, DatabaseCredentials)", _recognises, _items)
