"""Many data sources from a CSV sheet: a row an entry, all of them or none.

The columns `type`, `name`, `description`, `tags` (parted by `;`) and `env` (0 or dev, 1 or prod; empty: prod) are of
the data source; `url` is its JDBC or native URL; every other column is a field of the type, and empty where a row has
none.
A cell that begins with `[` or `{` is JSON. Secrets are references, as everywhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from registry import entries, model, names, texts, types, workspaces
from registry.apply import Applied, Progress, apply_documents, known
from registry.audit import By
from registry.documents import CLEAR_PASSWORD, PARAM_REMOVED, Documents, Notice
from registry.entries import EntryDraft, SourceDraft
from registry.errors import HeadwaterError, InvalidInput, InvalidInputs
from registry.store import Store
from registry.workspaces import WorkspaceDraft

COLUMNS = ("type", "name", "description", "tags", "env")
_NEEDED = ("type", "name")
#: Fields that a URL says, and those that may stand beside it.
_SAID_BY_URL = frozenset({"address", "database", "properties", "username", "password", "objects"})
_SIDES: Mapping[str, str] = {"0": "dev", "dev": "dev", "1": "prod", "prod": "prod", "": "prod"}


def template(type_: str) -> str:
    """A sheet for data sources of a type: its header, and a row for each side of an example.

    Raises:
        NotFound: No such type.
    """
    known_type = types.get(type_)
    example = dict(known_type.example)
    by_url = _url_of_example(type_)
    if by_url:
        example = {"url": by_url} | {key: example[key] for key in ("username", "password") if key in example}
    written = io.StringIO()
    sheet = csv.writer(written, lineterminator="\n")
    sheet.writerow([*COLUMNS, *example])
    for side, number in (("dev", 0), ("prod", 1)):
        cells = [
            json.dumps(value) if isinstance(value, list | dict) else f"{value}"
            for value in (_of_side(value, side) for value in example.values())
        ]
        sheet.writerow([known_type.name, "orders", "order book", "gold;shop", number, *cells])
    return written.getvalue()


def _url_of_example(type_: str) -> str:
    from registry import urls
    from registry.connection import read_entry

    known_type = types.get(type_)
    if "address" not in known_type.example or not _SAID_BY_URL.issuperset(known_type.example):
        return ""
    try:
        connection = read_entry(known_type, known_type.example).connection
        url, query, _ = urls.build_url(known_type, connection.model_copy(update={"username": None})).partition("?")
        # What is forced for safety need not be written.
        url += query and "?" + "&".join(f"{key}={value}" for key, value in connection.properties.items())
        fields = {key: known_type.example[key] for key in ("username", "password") if key in known_type.example}
        return url if read_entry(known_type, {"jdbc_url": url, **fields}).connection else ""
    except HeadwaterError:
        return ""


def _of_side(value: Any, side: str) -> Any:
    """The password of each side comes from a variable of its own."""
    if isinstance(value, str) and value.startswith("env:"):
        return f"{value}_{side.upper()}"
    return value


def add_many(
    store: Store,
    path: str,
    workspace: str,
    by: By,
    *,
    dry_run: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Applied:
    """Make the data sources of a sheet.

    Raises:
        NotFound: No such workspace.
        InvalidInputs: Every fault with its line and column; nothing was changed.
    """
    ((name, text),) = texts.read_all(path)[:1]
    with store.database.read() as session:
        owner = workspaces.find(session, workspace)
        here = model.DataSource.workspace_id == owner.id
        present = frozenset(session.scalars(select(model.DataSource.name).where(here)))
    reader = _Reader(_read(name, text), workspace, present, known(store).permits)
    documents = reader.documents()
    if reader.problems:
        raise InvalidInputs(reader.problems)
    return apply_documents(store, documents, by, dry_run=dry_run, progress=progress)


@dataclass
class _Sheet(texts.Parsed):
    """A sheet that tells the line and column of what stands in it, by data source, side and field."""

    header: list[str] = field(default_factory=list)
    #: Line of each row, and its cells.
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    #: (name, side) -> line.
    lines: dict[tuple[str, str], int] = field(default_factory=dict)

    def locate(self, path: texts.Path_) -> texts.Place:
        name, side, column = [*map(str, path), "", "", ""][:3]
        found = (line for (one, env), line in self.lines.items() if one == name and side in ("", env))
        return self.at(next(found, 1), column)

    def at(self, line: int, column: str = "") -> texts.Place:
        """A cell, by the name of its column."""
        wanted = "url" if _squashed(column) == "jdbcurl" else _squashed(column)
        squashed = [*map(_squashed, self.header)]
        return texts.Place(self.name, line, squashed.index(wanted) + 1 if wanted in squashed else 1)


def _read(name: str, text: str) -> _Sheet:
    if "\0" in text:
        place = texts.Place(name, text[: text.index("\0")].count("\n") + 1, 1)
        raise InvalidInput("a null character", where=str(place), instruction="take it out")
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = next((one for one in ",;\t" if one in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    sheet, before = _Sheet(name, None, None), 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not sheet.header:
                sheet.header = [cell.strip().lower() for cell in cells]
            else:
                sheet.rows.append((line, [cell.strip() for cell in cells]))
    except csv.Error as error:
        place = texts.Place(name, max(reader.line_num, 1), 1)
        raise InvalidInput(f"no valid CSV: {error}", where=str(place)) from None
    _check_header(sheet)
    return sheet


def _check_header(sheet: _Sheet) -> None:
    missing = [column for column in _NEEDED if column not in sheet.header]
    twice = [column for column in dict.fromkeys(sheet.header) if column and sheet.header.count(column) > 1]
    if missing or twice:
        told = f"the header has no column {missing[0]}" if missing else f"the column {twice[0]} stands twice"
        advice = "begin with what this prints: headwater source template TYPE"
        raise InvalidInput(told, where=str(sheet.at(1, twice[0] if twice and not missing else "")), instruction=advice)
    if not sheet.rows:
        raise InvalidInput("the sheet has no rows", where=sheet.name, instruction="a row an entry, below the header")


class _Reader:
    """The sources of a sheet, put together from its rows, and what is wrong with it."""

    def __init__(
        self,
        sheet: _Sheet,
        workspace: str,
        present: frozenset[str],
        permits: Mapping[tuple[str, str], Any],
    ) -> None:
        self.sheet, self.workspace, self.present, self.permits = sheet, workspace, present, permits
        self.drafts: dict[str, SourceDraft] = {}
        self.problems: list[InvalidInput] = []
        self.notices: list[Notice] = []

    def documents(self) -> Documents:
        """Everything that the sheet wants."""
        for line, cells in self.sheet.rows:
            self.row(line, cells)
        places = {f"{self.workspace}/{name}": (self.sheet, (name,)) for name in self.drafts}
        return Documents([], [(WorkspaceDraft(self.workspace), [*self.drafts.values()])], self.notices, dict(places))

    def row(self, line: int, cells: list[str]) -> None:
        if len(cells) > len(self.sheet.header):
            place = texts.Place(self.sheet.name, line, len(self.sheet.header) + 1)
            advice = 'put a cell with a comma in quotes: "a,b"'
            self.problems.append(InvalidInput("more cells than columns", where=str(place), instruction=advice))
            return
        row = {column: cell for column, cell in zip(self.sheet.header, cells, strict=False) if column and cell}
        try:
            self.take(line, row)
        except InvalidInputs as error:
            self.problems += [self.placed(line, problem) for problem in error.problems]
        except HeadwaterError as error:
            self.problems.append(self.placed(line, error))

    def take(self, line: int, row: dict[str, str]) -> None:
        """Read one row."""
        for column in _NEEDED:
            if column not in row:
                raise InvalidInput("missing", where=column)
        type_, name = types.get(row["type"]), names.DATA_SOURCE.check(row["name"])
        names.check_description(row.get("description", ""))
        side = _SIDES.get(row.get("env", "").lower())
        if side is None:
            raise InvalidInput("no environment", where="env", instruction="0 or dev, 1 or prod")
        if name in self.present:
            advice = "headwater edit changes it; take the row out"
            raise InvalidInput(f"workspace {self.workspace} has a data source {name}", where="name", instruction=advice)
        raw = {column: _value(column, cell) for column, cell in row.items() if column not in COLUMNS}
        path = f"{self.workspace}/{name}/{side}"
        permitted = frozenset(self.permits.get((self.workspace, name), ()))
        entry = entries.draft_entry(type_, raw, where=path, literals_allowed=False, permitted=permitted)
        attributes = {"kind": type_.kind, **_attributes(row)}
        self.add(line, side, SourceDraft(name, type_.name, {side: entry}, attributes))
        self.notices += self.told(line, entry)

    def add(self, line: int, side: str, draft: SourceDraft) -> None:
        """Put a side to that which there may be of its source."""
        there = self.drafts.get(draft.name)
        if there is not None and side in there.entries:
            first = self.sheet.locate((draft.name, side))
            raise InvalidInput(f"the {side} side of {draft.name} stands twice; first at {first}", where="env")
        for column, before, now in _differences(there, draft):
            told = f"{draft.name} has another {column} in a row above: {before!r}"
            raise InvalidInput(told, where=column, instruction=f"say the same, or leave it empty: {now!r}"[:200])
        both = {**there.entries, **draft.entries} if there else draft.entries
        said = {**there.attributes, **draft.attributes} if there else draft.attributes
        self.drafts[draft.name] = SourceDraft(draft.name, draft.type, both, said)
        self.sheet.lines[draft.name, side] = line

    def told(self, line: int, entry: EntryDraft) -> Iterator[Notice]:
        for removed in entry.removed:
            where = str(self.sheet.at(line, "properties" if "properties" in self.sheet.header else "url"))
            yield Notice(where, PARAM_REMOVED, f"the parameter {removed.key} was removed: {removed.why}")
        if entry.clear_password:
            told = "the URL holds a password in clear; it is stored encrypted, but take it out of the sheet"
            yield Notice(str(self.sheet.at(line, "url")), CLEAR_PASSWORD, told)

    def placed(self, line: int, problem: HeadwaterError) -> InvalidInput:
        # `retail/orders/prod.address[0].port` -> address
        column = problem.where.rpartition("/")[2].removeprefix("dev").removeprefix("prod").lstrip(".")
        column = column.partition(".")[0].partition("[")[0]
        where = f"{self.sheet.at(line, column)}: {column}".removesuffix(": ")
        return InvalidInput(problem.reason, where=where, instruction=problem.instruction, code=problem.code)


def _attributes(row: Mapping[str, str]) -> dict[str, Any]:
    tags = [tag.strip() for tag in row.get("tags", "").split(";") if tag.strip()]
    stated = {"description": row.get("description"), "tags": [*dict.fromkeys(tags)] or None}
    return {name: value for name, value in stated.items() if value is not None}


def _differences(there: SourceDraft | None, now: SourceDraft) -> Iterator[tuple[str, Any, Any]]:
    """What two rows of one source say differently: column, above, here."""
    if there is None:
        return
    if there.type != now.type:
        yield "type", there.type, now.type
    for name, value in now.attributes.items():
        if there.attributes.get(name, value) != value:
            yield name, there.attributes[name], value


def _value(column: str, cell: str) -> Any:
    if not cell.startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise InvalidInput("it begins like JSON and is none", where=column) from None


def _squashed(column: str) -> str:
    return column.replace("_", "").replace("-", "").strip().casefold()
