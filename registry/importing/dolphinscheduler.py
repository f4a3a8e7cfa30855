"""Data sources of DolphinScheduler: a page of its API (`GET /datasources`), or a list of them.

    {data: {totalList: [{name, note, type, connectionParams: "JSON as text"}]}}

The text holds `user`, `password`, `address` and `jdbcUrl` (both JDBC URLs), `database`, and the options of the driver
under `other`; older ones only what a listing may show (`username` and a password in asterisks).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.importing import Context, Format, Item, NotTaken, Taken, Where
from registry.importing.mapping import Parts, embedded, fields_of, secret, text, type_of
from registry.types import DataSourceType

#: Where a page keeps its list.
_LISTS = (("data", "totalList"), ("totalList",), ("data",))
#: Settings of the JDBC driver, and what says again what the URL says.
_DRIVERS_OWN = ("drivername", "driverclassname", "driverlocation", "validationquery", "jdbcurl", "address", "database")


def _records(data: Any) -> Iterator[tuple[Where, Any]]:
    for path in ((), *_LISTS):
        found = data
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list):
            yield from (((*path, index), one) for index, one in enumerate(found))
            return


def _recognises(data: Any) -> bool:
    records = [one for _, one in _records(data)]
    return bool(records) and all(isinstance(one, dict) and "connectionParams" in one for one in records)


def _items(data: Any, context: Context) -> Iterator[Item]:
    for path, raw in _records(data):
        name = text(raw.get("name")) if isinstance(raw, dict) else ""
        yield Item(path, name, lambda raw=raw: _taken(raw, context))  # type: ignore[misc]


def _taken(raw: Any, context: Context) -> Taken:
    if not isinstance(raw, dict):
        raise NotTaken("it is no mapping of fields")
    type_ = type_of(raw.get("type"))
    params = embedded(raw.get("connectionParams"), "connectionParams")
    fields, remarks = _fields(type_, params)
    return Taken(type_.name, {context.side: fields}, text(raw.get("note")), remarks)


def _fields(type_: DataSourceType, params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    user = text(params.get("user") or params.get("username") or params.get("userName"))
    options = params.get("other") or params.get("props") or {}
    extra = dict(options) if isinstance(options, dict) else _pairs(text(options))
    url = text(params.get("jdbcUrl")) or text(params.get("address"))
    if "://" not in url or type_.name in ("ssh",):
        plain = url.partition("://")[2] if "://" in url else text(params.get("host")) or url
        parts = Parts(
            plain, params.get("port"), text(params.get("database")), user, secret(params.get("password")), extra
        )
        return fields_of(type_, parts)
    if url.count("/") < 3 and text(params.get("database")):
        url = f"{url}/{text(params.get('database'))}"
    fields: dict[str, Any] = {"jdbc_url": url, "username": user or None, "password": secret(params.get("password"))}
    if extra:
        fields["properties"] = {str(key): text(value) for key, value in extra.items()}
    if type_.name == "hive" and fields["password"] is not None:
        fields["login_mode"] = "LDAP"
    known = {"user", "username", "password", "other", "props", *_DRIVERS_OWN}
    lost = [key for key, value in params.items() if key.lower() not in known and value not in (None, "")]
    remarks = [f"{key[:60]} is left out: {type_.name} has no field for it" for key in lost]
    return {name: value for name, value in fields.items() if value is not None}, remarks


def _pairs(options: str) -> dict[str, str]:
    pieces = (piece.partition("=") for piece in options.replace("&", ";").split(";") if "=" in piece)
    return {key.strip(): value.strip() for key, _, value in pieces}


FORMAT = Format("dolphinscheduler", "data sources of DolphinScheduler", _recognises, _items)
