"""`docs/types.md`, made from the catalogue."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from registry import synchronization
from registry.connection.fields import Endpoint
from registry.connection.model import Connection, Mode
from registry.types import DataSourceType, catalogue

_INTRODUCTION = """\
# Data source types

Made by `scripts/generate_types_doc.py` from the catalogue in `registry/types/`; do not edit it by hand.

Every field may be written in snake_case or in DataWorks' camelCase. In place of `address`, `database` and
`properties` an entry may have `jdbc_url`, a JDBC or native URL. Secrets are references: `env:NAME`, `file:PATH`,
`prefect:BLOCK-SLUG/NAME[.FIELD]`, `vault:PATH#FIELD`; files are `file:PATH` (PEM), or `certificate:NAME` for one that
`headwater file add` put into the registry (its id alone is understood too). The connection mode follows from the
fields: an instance id makes it the instance mode.
"""

_TESTED = {
    "server": "against its own server",
    "protocol": "against a server of the protocol that it shares",
    "wire": "wire-tested, no server",
}

_MODE_TITLES = {Mode.CONNECTION_STRING: "Connection string mode", Mode.INSTANCE: "Instance mode"}


def markdown() -> str:
    """The page: every type with its names, modes, fields and an example."""
    return "\n".join(
        [
            _INTRODUCTION,
            *_overview(),
            *_synchronized(),
            *(line for type_ in catalogue().values() for line in _type(type_)),
        ]
    )


def _overview() -> Iterator[str]:
    yield "| type | product | modes | protocol | port | tested | remarks |"
    yield "|---|---|---|---|---|---|---|"
    for type_ in catalogue().values():
        protocols = " or ".join(dict.fromkeys([type_.protocol, *type_.variants.values()]))
        name = f"[`{type_.name}`](#{type_.name})"
        modes = ", ".join(_MODE_TITLES[mode].removesuffix(" mode").lower() for mode in type_.modes)
        remarks = " ".join(filter(None, ["Metadata only." if type_.kind == "metadata" else "", type_.notes]))
        cells = (name, type_.title, modes, protocols, type_.default_port, _TESTED[type_.tested], remarks)
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""


def _synchronized() -> Iterator[str]:
    yield "## What Data Integration reads (r) and writes (w)\n"
    yield f"| type | {' | '.join(synchronization.KINDS.values())} |"
    yield f"|---|{'---|' * len(synchronization.KINDS)}"
    for name, row in synchronization.TABLE.items():
        yield f"| [`{name}`](#{name}) | {' | '.join('' if does == '-' else does for does in row.values())} |"
    yield "\nOf other types nothing is known, and they are not limited.\n"


def _type(type_: DataSourceType) -> Iterator[str]:
    yield f"## {type_.name}\n"
    yield f"{type_.title}. {type_.notes}".strip() + "\n"
    if type_.aliases:
        yield f"Also known as {_listed(type_.aliases)}.\n"
    yield f"For {_listed(type_.modules)}.\n"
    if type_.url_schemes:
        yield f"URL schemes: {_listed(type_.url_schemes)}.\n"
    for mode, model in type_.modes.items():
        yield f"### {type_.name}: {_MODE_TITLES[mode].lower()} (`{mode.value}`)\n"
        yield "| field | camelCase | kind | needed | meaning | example |"
        yield "|---|---|---|---|---|---|"
        yield from (_row(model, name, info) for name, info in _in_order(model))
        yield ""
    yield f"### {type_.name}: example\n"
    yield "```yaml"
    yield from (f"{name}: {json.dumps(value)}" for name, value in type_.example.items())
    yield "```\n"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _in_order(model: type[Connection]) -> list[tuple[str, FieldInfo]]:
    """Needed fields first; those that every type has last."""
    common = set(Connection.model_fields)
    return sorted(model.model_fields.items(), key=lambda one: (one[0] in common, not one[1].is_required()))


def _row(model: type[Connection], name: str, info: FieldInfo) -> str:
    kind = model.sensitive_fields().get(name)
    cells = [
        f"`{name}`",
        f"`{info.alias}`" if info.alias != name else "",
        f"{kind} reference" if kind else _kind(info.annotation),
        "yes" if info.is_required() else "",
        info.description or "",
        f"`{json.dumps(info.examples[0])}`" if info.examples else "",
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _kind(annotation: Any) -> str:
    """A type in words: `text`, `number`, the choices of a Literal, `list of ...`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, types.UnionType):
        return _kind(next(one for one in arguments if one is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    return _WORDS.get(origin or annotation, "text")


_WORDS: Mapping[Any, str] = {str: "text", int: "number", dict: "mapping", Endpoint: "host and port"}
