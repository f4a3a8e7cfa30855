"""DataWorks' data sources: `ExportDataSources` of the API of 2020, `ListDataSources` and `GetDataSource` of 2024.

2020: {Data: {DataSources: [{Name, DataSourceType, SubType, EnvType: 0 | 1, Content: "JSON as text"}]}}
2024: {PagingInfo: {DataSources: [{Name, Type, DataSource: [{ConnectionPropertiesMode, ConnectionProperties: {envType:
"Dev" | "Prod", ...}}]}]}}

Keys count in any spelling (`DataSources`, `dataSources`). What the content of 2020 calls otherwise is translated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from registry.connection import Mode
from registry.importing import Context, Format, Item, NotTaken, Taken, Where
from registry.importing.mapping import type_of
from registry.importing.parts import embedded, secret, text
from registry.types import DataSourceType

_SIDES: Mapping[str, str] = {"0": "dev", "1": "prod", "dev": "dev", "prod": "prod"}

#: Fields of the content of 2020 -> their names since.
_RENAMED: Mapping[str, str] = {
    "dbname": "database",
    "instancename": "instanceId",
    "tunnelendpoint": "tunnelServer",
    "tunnel": "tunnelServer",
    "odpsendpoint": "endpoint",
    "odpsproject": "project",
    "user": "username",
    "region": "regionId",
}
#: The same, for one type.
_RENAMED_OF: Mapping[str, Mapping[str, str]] = {
    "elasticsearch": {"accessid": "username", "accesskey": "password"},
}
#: What the content of 2020 says of itself.
_OF_ITSELF = ("tag", "configtype", "envtype", "status", "drivername")


def _squashed(key: object) -> str:
    return str(key).replace("_", "").replace("-", "").casefold()


def _get(raw: Any, *names: str) -> Any:
    """The value under one of these keys, in any spelling."""
    if not isinstance(raw, dict):
        return None
    spelled = {_squashed(key): value for key, value in raw.items()}
    return next((spelled[name] for name in map(_squashed, names) if spelled.get(name) is not None), None)


def _key(raw: Any, name: str) -> str:
    return next((key for key in raw if _squashed(key) == _squashed(name)), name)


def _lists(data: Any) -> tuple[Where, list[Any]]:
    """The list of data sources, and where it stands."""
    path: Where = ()
    for name in ("body", "Data", "PagingInfo"):
        inner = _get(data, name)
        if isinstance(inner, dict):
            path, data = (*path, _key(data, name)), inner
    found = _get(data, "DataSources", "Connections")
    if isinstance(found, list):
        name = "DataSources" if _get(data, "DataSources") is not None else "Connections"
        return (*path, _key(data, name)), found
    one = _get(data, "DataSource")
    if isinstance(one, dict):
        return (*path, _key(data, "DataSource")), [one]
    return path, data if isinstance(data, list) else []


def _is_record(raw: Any) -> bool:
    old = _get(raw, "DataSourceType", "ConnectionType") is not None and _get(raw, "Content") is not None
    new = _get(raw, "Type") is not None and _get(raw, "DataSource", "ConnectionProperties") is not None
    return old or new


def _recognises(data: Any) -> bool:
    found = _lists(data)[1]
    return bool(found) and all(_is_record(one) for one in found)


def _items(data: Any, context: Context) -> Iterator[Item]:
    path, found = _lists(data)
    for index, raw in enumerate(found):
        # `DataSource` of GetDataSource is no list: the record is what the path leads to.
        here: Where = (*path, index) if isinstance(_follow(data, path), list) else path
        name = text(_get(raw, "Name"))
        entries = _get(raw, "DataSource")
        if not isinstance(entries, list):
            yield Item(here, name, lambda raw=raw: taken(raw, raw, context))  # type: ignore[misc]
            continue
        for number, entry in enumerate(entries):
            inner = (*here, _key(raw, "DataSource"), number)
            yield Item(inner, name, lambda raw=raw, entry=entry: taken(raw, entry, context))  # type: ignore[misc]


def _follow(data: Any, path: Where) -> Any:
    for step in path:
        data = data[step]
    return data


def taken(raw: Any, entry: Any, context: Context) -> Taken:
    """One record.

    Args:
        raw: What says name and type.
        entry: One side of it, which may be the same.

    Raises:
        NotTaken: It cannot be taken over.
    """
    if not isinstance(entry, dict):
        raise NotTaken("it is no mapping of fields")
    kind = text(_get(raw, "DataSourceType", "ConnectionType", "Type"))
    named = text(_get(entry, "SubType")) if kind.lower() in ("rds", "polardb_rds") else kind
    type_ = type_of(named or kind)
    content = embedded(_get(entry, "ConnectionProperties", "Content"), "content")
    side = _side(entry, content, context)
    if context.env and side != context.env:
        return Taken(type_.name, {})
    fields, remarks = _fields(type_, content, context)
    spoken = text(_get(entry, "SubType")).lower()
    if spoken and spoken != type_.name and "dbtype" in known_fields(type_) and "dbtype" not in map(_squashed, fields):
        fields["dbType"] = spoken
    if type_.name == "hive" and "password" in fields and "loginmode" not in map(_squashed, fields):
        fields["loginMode"] = "LDAP"
    mode = text(_get(entry, "ConnectionPropertiesMode"))
    if mode:
        fields["mode"] = mode
    elif Mode.INSTANCE in type_.modes and _without_region(fields):
        advice = "say where such instances are: --region cn-hangzhou"
        raise NotTaken("its record names no region, without which an instance is not found", advice)
    description = text(_get(entry, "Description")) or text(_get(raw, "Description"))
    return Taken(type_.name, {side: fields}, description, remarks)


def _without_region(fields: Mapping[str, Any]) -> bool:
    said = {_squashed(name) for name in fields}
    return bool(said & {"instanceid", "clusterid"}) and "regionid" not in said


def _side(entry: Any, content: Mapping[str, Any], context: Context) -> str:
    said = text(_get(content, "envType")) or text(_get(entry, "EnvType"))
    if not said:
        return context.side
    if said.lower() not in _SIDES:
        raise NotTaken("its envType is none of 0, 1, Dev and Prod")
    return _SIDES[said.lower()]


def _fields(type_: DataSourceType, content: Mapping[str, Any], context: Context) -> tuple[dict[str, Any], list[str]]:
    known = known_fields(type_)
    hidden = {_squashed(name) for model in type_.modes.values() for name in model.sensitive_fields()}
    fields, remarks = dict[str, Any](), list[str]()
    for key, value in content.items():
        renamed = {**_RENAMED, **_RENAMED_OF.get(type_.name, {})}
        name = renamed.get(_squashed(key), key) if _squashed(key) not in known else key
        squashed = _squashed(name)
        if value in (None, "") or squashed in _OF_ITSELF:
            continue
        if squashed not in known and squashed not in ("jdbcurl", "url"):
            remarks.append(f"{str(key)[:60]} is left out: {type_.name} has no field for it")
        elif squashed in hidden:
            fields[name] = secret(value)
        elif squashed == "authtype" and re.fullmatch(r"\d+", text(value)):
            remarks.append(f"{name} is left out: it is a number of the API of 2020")
        else:
            fields[name] = _addresses(value) if squashed.endswith("address") else value
    return fields | _unsaid(type_, fields, known, context), remarks


def known_fields(type_: DataSourceType) -> dict[str, str]:
    """The fields of a type: as they are compared -> as they are called."""
    return {_squashed(name): name for model in type_.modes.values() for name in model.model_fields}


def _addresses(value: Any) -> Any:
    """Addresses stand as JSON text in old content, and there as `host:port`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = [one.strip() for one in value.split(",")]
    if not isinstance(value, list):
        return value
    split = [re.fullmatch(r"(\S+):(\d+)", one) if isinstance(one, str) else None for one in value]
    return [{"host": at[1], "port": int(at[2])} if at else one for one, at in zip(value, split, strict=True)]


def _unsaid(
    type_: DataSourceType, fields: Mapping[str, Any], known: Mapping[str, str], context: Context
) -> dict[str, str]:
    """What old records leave out: where an instance is, and that an endpoint of a project is its own."""
    said, found = {_squashed(name) for name in fields}, dict[str, str]()
    located = said & {"instanceid", "clusterid", "project"}
    if context.region and located and "regionid" in known and "regionid" not in said:
        found["regionId"] = context.region
    if type_.name == "maxcompute" and {"endpoint", "tunnelserver"} <= said and "endpointmode" not in said:
        found["endpointMode"] = "Custom"
    return found


FORMAT = Format("dataworks", "ExportDataSources, ListDataSources or GetDataSource of DataWorks", _recognises, _items)
