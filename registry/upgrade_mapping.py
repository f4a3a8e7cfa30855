"""A mapping file: what the development sides of an upgraded workspace have of their own.

orders:
  address: [{host: orders-dev.example.com, port: 5432}]
  database: orders_dev
  password: env:ORDERS_DEV_PASSWORD

What a source does not say is as its production side has it. A stored secret goes only to the host, port and TLS setting
that it was stored for, so a dev side elsewhere says where its own lies.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry import entries, model, secrets, texts, types
from registry.connection import Connection
from registry.connection.reading import PENDING
from registry.entries import EntryDraft
from registry.errors import HeadwaterError, InvalidInput, InvalidInputs
from registry.nearest import nearest

#: Fields that a URL says as well: it stands in place of them.
_IN_URL = ("address", "host", "port", "database", "properties")


@dataclass(frozen=True)
class Mapped:
    """A mapping file, read; `given` is source -> fields of its dev side, as they are written."""

    given: Mapping[str, Mapping[str, Any]]
    _parsed: Sequence[texts.Parsed] = ()

    def place(self, source: str, path: str = "") -> str:
        """`file:line:column` of a source, or of one of its fields (`address[0].port`)."""
        parsed = next(one for one in self._parsed if source in one.data)
        steps = [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
        found = str(parsed.locate([source, *steps]))
        return f"{found}: {path}" if path else found

    def expect_known(self, names: Collection[str], workspace: str) -> list[InvalidInput]:
        """A problem for each source that the workspace has not."""
        problems = []
        for name in self.given:
            if name not in names:
                near = nearest(name, names)
                advice = f"did you mean {near[0]}?" if near else f"headwater list --workspace {workspace}"
                told = f"workspace {workspace} has no data source {name!r}"
                problems.append(InvalidInput(told, where=self.place(name), instruction=advice))
        return problems

    def told(self, source: str, error: HeadwaterError) -> list[InvalidInput]:
        """The faults of one source, each at its place in the file."""
        problems: Iterable[HeadwaterError] = error.problems if isinstance(error, InvalidInputs) else [error]
        return [
            InvalidInput(one.reason, where=self.place(source, one.where), instruction=one.instruction)
            for one in problems
        ]


def read(path: str) -> Mapped:
    """Read a mapping file, YAML or JSON; `-` is standard input.

    Raises:
        InvalidInputs: It is no mapping of sources to fields; says where.
    """
    parsed = [texts.parse(name, text) for name, text in texts.read_all(path)]
    problems = [problem for one in parsed for problem in one.problems]
    given: dict[str, Mapping[str, Any]] = {}
    for one in parsed:
        if not isinstance(one.data, dict):
            told = "no mapping of data sources to the fields of their dev sides"
            problems.append(InvalidInput(told, where=str(one.locate([])), instruction="begin with: NAME:"))
            continue
        for name, fields in one.data.items():
            if not isinstance(fields, dict) or not fields:
                told, advice = f"{name} has no fields", "for example: database: orders_dev"
                problems.append(InvalidInput(told, where=str(one.locate([name])), instruction=advice))
            given[name] = fields if isinstance(fields, dict) else {}
    if problems:
        raise InvalidInputs(problems)
    return Mapped(given, parsed)


def side(row: model.DataSource, prod: model.Entry, own: Mapping[str, Any], given: Mapping[str, Any]) -> EntryDraft:
    """The dev side that a source gets: its production side, but for what is given. Stored secrets still say PENDING.

    Args:
        own: What a dev side of its kind has of its own anyway; None: nothing in place of what production has.

    Raises:
        InvalidInputs: A field that its type has not, a value that it cannot have, a secret that stands there itself,
            or a stored secret that may not follow; `where` is the field.
    """
    known = types.get(row.type)
    stored = [name for name, reference in prod.references.items() if reference.startswith("stored:")]
    references = {**prod.references, **dict.fromkeys(stored, PENDING)}
    base = {**entries.joined(prod.properties, references), **own}
    kept = {} if _names_mode(given, prod.mode) else _without(base, given)
    raw = {"mode": prod.mode, **kept, **given}
    draft = entries.draft_entry(known, raw, where="", literals_allowed=False, permitted=frozenset(row.permits))
    if draft.literals:
        told = "it carries a secret (not shown)"
        advice = "take it out and give it as a reference: password: env:NAME"
        raise InvalidInputs([InvalidInput(told, where=name, instruction=advice) for name in draft.literals])
    _expect_none_foreign(draft.connection)
    _expect_none_elsewhere(draft.connection, entries.connection_of(row.type, prod))
    return draft


def _names_mode(given: Mapping[str, Any], mode: str) -> bool:
    """Whether it is given as a whole, in another mode of connection."""
    said = next((value for key, value in given.items() if _squashed(key) in ("mode", "connectionpropertiesmode")), mode)
    return str(said).lower() != mode.lower()


def _without(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    said = {_squashed(key) for key in given}
    said |= (
        {_squashed(name) for name in _IN_URL} if said & {"jdbcurl"} or ("url" in said and "url" not in base) else set()
    )
    return {name: value for name, value in base.items() if _squashed(name) not in said}


def _squashed(key: object) -> str:
    return str(key).replace("_", "").replace("-", "").strip().casefold()


def _expect_none_foreign(dev: Connection) -> None:
    """Raises: InvalidInputs: A stored secret is given by its id; each belongs to one entry alone."""
    foreign = [
        name
        for name, reference in dev.secret_references().items()
        if reference.startswith("stored:") and reference != PENDING
    ]
    if foreign:
        told = "a stored secret belongs to one entry, and is not given to another one"
        raise InvalidInputs([InvalidInput(told, where=name, instruction=f"{name}: env:NAME") for name in foreign])


def _expect_none_elsewhere(dev: Connection, prod: Connection) -> None:
    pending = [name for name, reference in dev.secret_references().items() if reference == PENDING]
    if not pending or secrets.binding(dev) == secrets.binding(prod):
        return
    told = (
        "the dev side has another host, port or TLS setting, and a stored secret goes only to those it was stored for"
    )
    raise InvalidInputs(
        [InvalidInput(told, where=name, instruction=f"give its own as well: {name}: env:NAME") for name in pending]
    )
