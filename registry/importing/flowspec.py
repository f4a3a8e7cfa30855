"""The data sources that a FlowSpec file of DataWorks defines, JSON or YAML.

{version, kind, spec: {datasources: [{id, name, type, subType, config: "JSON as text"}]}}

The config is content as the API of 2020 has it, but for the place of a server, which may stand in two fields of its
own, and for a table that is meant. A spec has no sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.importing import Context, Format, Item, NotTaken, Taken
from registry.importing.dataworks import known_fields, taken
from registry.importing.mapping import type_of
from registry.importing.parts import embedded, text


def _defined(data: Any) -> list[Any]:
    spec = data.get("spec") if isinstance(data, dict) else None
    found = spec.get("datasources") if isinstance(spec, dict) else None
    return found if isinstance(found, list) else []


def _recognises(data: Any) -> bool:
    return bool(_defined(data))


def _items(data: Any, context: Context) -> Iterator[Item]:
    for index, raw in enumerate(_defined(data)):
        name = text(raw.get("name")) if isinstance(raw, dict) else ""
        yield Item(("spec", "datasources", index), name, lambda raw=raw: _taken(raw, context))  # type: ignore[misc]


def _taken(raw: Any, context: Context) -> Taken:
    if not isinstance(raw, dict):
        raise NotTaken("it is no mapping of fields")
    content = embedded(raw.get("config"), "config")
    known = known_fields(type_of(text(raw.get("type"))))
    if "host" in content and "host" not in known and "address" in known:
        place = {name: content.pop(name) for name in ("host", "port") if name in content}
        content = {"address": [place], **content}
    if "table" in content and "table" not in known and "objects" in known:
        content["objects"] = [content.pop("table")]
    record = {"Type": raw.get("type"), "SubType": raw.get("subType"), "Content": content}
    return taken(record, record | {"Description": raw.get("description")}, context)


FORMAT = Format("flowspec", "data sources that a FlowSpec file of DataWorks defines", _recognises, _items)
