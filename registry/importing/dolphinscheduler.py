"""Data sources of DolphinScheduler: a page of its API (`GET /datasources`), or a list of them.

    {data: {totalList: [{name, note, type, connectionParams: "JSON as text"}]}}

The text holds `user`, `password`, `address` and `jdbcUrl` (both JDBC URLs), `database`, and the options of the driver
under `other`; older ones only what a listing may show (`username` and a password in asterisks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry.importing import Context, Format, Item, NotTaken, Taken, Where
from registry.importing.mapping import fields_of, type_of
from registry.importing.parts import Parts, embedded, secret, text
from registry.types import DataSourceType

#: Where a page keeps its list.
_LISTS = (("data", "totalList"), ("totalList",), ("data",))
#: What is no option of the driver, where a field has it.
_USED: Mapping[str, tuple[str, ...]] = {
    "hive": ("principal", "javasecuritykrb5conf", "loginuserkeytabusername", "loginuserkeytabpath"),
    "apsaradb_for_oceanbase": ("compatiblemode",),
}
#: Types whose URL says less than the parts.
_BY_PARTS = ("ssh", "snowflake")
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
    url, database = _url(params), text(params.get("database"))
    password = secret(params.get("password"))
    if not url.startswith("jdbc:") or type_.name in _BY_PARTS:
        plain = url.partition("://")[2].partition("/")[0] if "://" in url else text(params.get("host")) or url
        return fields_of(type_, Parts(plain, params.get("port"), database, user, password, extra))
    fields: dict[str, Any] = {"jdbc_url": url, "username": user or None, "password": password}
    remarks = list[str]()
    known = {name for model in type_.modes.values() for name in model.model_fields}
    if not known & {"database", "service_name"} and url.count("/") > 2:
        fields["jdbc_url"] = url.rpartition("/")[0]
        remarks.append(f"database is left out: {type_.name} has none")
    if extra:
        fields["properties"] = {str(key): text(value) for key, value in extra.items()}
    if type_.name == "hive":
        fields |= _hive(params, fields)
    elif type_.name == "apsaradb_for_oceanbase" and text(params.get("compatibleMode")):
        fields["db_mode"] = text(params.get("compatibleMode")).lower()
    used = {"user", "username", "password", "other", "props", *_DRIVERS_OWN, *(_USED.get(type_.name, ()))}
    lost = [key for key, value in params.items() if key.lower() not in used and value not in (None, "")]
    remarks += [f"{key[:60]} is left out: {type_.name} has no field for it" for key in lost]
    return {name: value for name, value in fields.items() if value is not None}, remarks


def _url(params: dict[str, Any]) -> str:
    """The JDBC URL whole; older records have its beginning alone, as `address`."""
    url = text(params.get("jdbcUrl"))
    address, database = text(params.get("address")), text(params.get("database"))
    if not url:
        url = f"{address}/{database}" if "://" in address and address.count("/") < 3 and database else address
    # Kyuubi's driver speaks the protocol of HiveServer2, and knows that scheme as well.
    return f"jdbc:hive2:{url.removeprefix('jdbc:kyuubi:')}" if url.startswith("jdbc:kyuubi:") else url


def _hive(params: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """By Kerberos, where there is a keytab; else by password, where there is one."""
    if keytab := text(params.get("loginUserKeytabPath")):
        conf, service = text(params.get("javaSecurityKrb5Conf")), text(params.get("principal"))
        return {
            "security_protocol": "authTypeKerberos",
            "kerberos_file_keytab": f"file:{keytab}",
            "kerberos_file_conf": f"file:{conf}" if conf else None,
            "principal": text(params.get("loginUserKeytabUsername")) or None,
            "properties": {**fields.get("properties", {}), **({"principal": service} if service else {})} or None,
            "username": None,
            "password": None,
        }
    return {"login_mode": "LDAP"} if fields["password"] is not None else {}


def _pairs(options: str) -> dict[str, str]:
    pieces = (piece.partition("=") for piece in options.replace("&", ";").split(";") if "=" in piece)
    return {key.strip(): value.strip() for key, _, value in pieces}


FORMAT = Format("dolphinscheduler", "data sources of DolphinScheduler", _recognises, _items)
