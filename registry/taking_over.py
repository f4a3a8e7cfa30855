"""`headwater import`: exports of other tools into the registry, all of it or nothing, and no password in clear.

The readers of `registry.importing` say what an export holds; from there on an import is an `apply`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import SecretStr

from registry import entries, importing, names, texts, types, workspaces
from registry.apply import Applied, Progress, apply_documents, known
from registry.audit import By
from registry.connection.fields import is_reference
from registry.documents import PARAM_REMOVED, Documents, Known, Notice
from registry.entries import EntryDraft, SourceDraft
from registry.errors import InvalidInput, InvalidInputs
from registry.importing import Context, Item, NotTaken, Taken, dotenv
from registry.store import Store
from registry.workspaces import WorkspaceDraft

#: Codes of notices.
LEFT_OUT, RENAMED, SKIPPED, MASKED = "IMPORT.LEFT_OUT", "IMPORT.RENAMED", "IMPORT.SKIPPED", "IMPORT.MASKED"

#: What becomes of a secret that stands in an export: a reference to a variable, or an encrypted secret.
Keep = Literal["env", "store"]


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do.

    Attributes:
        applied: As of `apply`; what was left out, renamed and skipped is among the notices.
        variables: Names of the environment variables that the new references need, in order.
        skipped: Records that were not taken over.
    """

    applied: Applied
    variables: tuple[str, ...]
    skipped: tuple[InvalidInput, ...]


@dataclass
class _Source:
    """One data source on its way in, put together from its records."""

    type: str
    place: tuple[texts.Parsed, importing.Where]
    entries: dict[str, EntryDraft] = field(default_factory=dict)
    description: str = ""

    def draft(self, name: str) -> SourceDraft:
        said = {"description": self.description} if self.description else {}
        return SourceDraft(name, self.type, self.entries, {"kind": types.get(self.type).kind, **said})


def take_over(
    store: Store,
    path: str,
    workspace: str,
    by: By,
    *,
    format_: str | None = None,
    context: Context | None = None,
    keep: Keep = "env",
    skip_faulty: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Imported:
    """Import a file, a folder of them, or standard input (`-`).

    Args:
        format_: Name of a format; None: what the data look like.
        skip_faulty: Leave out the records that cannot be taken over, instead of taking none.

    Raises:
        NotFound: No such workspace or format.
        InvalidInputs: Every record that cannot be taken over, with its place; nothing was changed.
    """
    with store.database.read() as session:
        workspaces.find(session, workspace)
    reader = _Reader(workspace, known(store), context or Context(), keep)
    for name, text in texts.read_all(path):
        reader.take((dotenv if dotenv.look_like(text) else texts).parse(name, text), format_)
    if reader.faults and not skip_faulty:
        raise _refusal(reader.faults, path)
    return _written(store, reader, by, skip_faulty, dry_run, progress)


def _refusal(faults: list[InvalidInput], path: str) -> InvalidInputs:
    advice = "correct them, or take over the others alone: --skip-faulty"
    return InvalidInputs([*faults, InvalidInput("nothing was taken over", where=path, instruction=advice)])


def _written(store: Store, reader: _Reader, by: By, skip_faulty: bool, dry_run: bool, progress: Progress) -> Imported:
    """What the registry itself refuses is a fault of its record, too."""
    while True:
        documents, variables = reader.documents()
        try:
            applied = apply_documents(store, documents, by, dry_run=dry_run, progress=progress)
        except InvalidInputs as error:
            if not skip_faulty or not reader.drop(error.problems):
                raise
            continue
        return Imported(applied, variables, tuple(reader.faults))


class _Reader:
    """What was read so far, and what could not be."""

    def __init__(self, workspace: str, registry: Known, context: Context, keep: Keep) -> None:
        self.workspace, self.registry, self.context, self.keep = workspace, registry, context, keep
        self.sources: dict[str, _Source] = {}
        self.faults: list[InvalidInput] = []
        self.notices: list[Notice] = []
        #: Environment variable -> the field that it is for.
        self.variables: dict[str, str] = {}

    def take(self, parsed: texts.Parsed, format_: str | None) -> None:
        """Read one text."""
        if parsed.problems:
            raise InvalidInputs(parsed.problems)
        found = importing.get(format_) if format_ else importing.guess(parsed.data, parsed.name)
        before = len(self.sources) + len(self.faults) + len(self.notices)
        for item in found.items(parsed.data, self.context):
            self.item(parsed, item)
        if len(self.sources) + len(self.faults) + len(self.notices) == before:
            told = f"it holds no {found.title}"
            self.faults.append(InvalidInput(told, where=parsed.name, instruction="say another --format"))

    def item(self, parsed: texts.Parsed, item: Item) -> None:
        """Read one record."""
        place = f"{parsed.locate(item.path)}: {_shown(item.name)}"
        try:
            taken = item.read()
            self.notices += [Notice(place, LEFT_OUT, remark) for remark in taken.remarks]
            sides = {env: raw for env, raw in taken.sides.items() if self.context.env in (None, env)}
            if sides:
                name = self.named(item.name, place)
                drafts = {
                    env: self.entry(f"{self.workspace}/{name}/{env}", taken, raw, place) for env, raw in sides.items()
                }
                self.add(name, (parsed, item.path), taken, drafts)
        except NotTaken as fault:
            self.faults.append(InvalidInput(fault.reason, where=place, instruction=fault.instruction))
        except InvalidInputs as error:
            self.faults += [_at(place, problem) for problem in error.problems]
        except InvalidInput as error:
            self.faults.append(_at(place, error))

    def named(self, name: str, place: str) -> str:
        """The name of the data source: letters, digits and `_`."""
        # Letters that a name cannot have become their numbers, so that two names stay two.
        plain = "".join(f"u{ord(one):x}" if one.isalnum() and not one.isascii() else one for one in name)
        fit = re.sub(r"[^A-Za-z0-9_]", "_", plain).lstrip("_")
        fit = f"c{fit}" if fit[:1].isdigit() else fit
        names.DATA_SOURCE.check(fit)
        if fit != name:
            self.notices.append(Notice(place, RENAMED, f"its name here is {fit}"))
        return fit

    def add(
        self, name: str, place: tuple[texts.Parsed, importing.Where], taken: Taken, drafts: Mapping[str, EntryDraft]
    ) -> None:
        """Put the sides of a record to those that there are of its source."""
        type_ = types.get(taken.type).name
        names.check_description(taken.description)
        source = self.sources.setdefault(name, _Source(type_, place))
        if source.type != type_:
            raise InvalidInput(f"the data source {name} is of type {source.type} in another record", where="type")
        twice = [env for env in drafts if env in source.entries]
        if twice:
            first = source.place[0].locate(source.place[1])
            raise InvalidInput(f"the {twice[0]} side of {name} stands twice; first at {first}", where="name")
        source.entries |= drafts
        source.description = source.description or taken.description

    def entry(self, path: str, taken: Taken, raw: Mapping[str, Any], place: str) -> EntryDraft:
        """One side, checked, its secrets kept as asked."""
        type_ = types.get(taken.type)
        for name, value in raw.items():
            if isinstance(value, SecretStr) and is_reference(value.get_secret_value()):
                raise NotTaken(f"its {name} (not shown) reads like a reference", "set it here: headwater secret")
        workspace, source, _ = path.split("/")
        permitted = frozenset(self.registry.permits.get((workspace, source), ()))
        draft = entries.draft_entry(type_, raw, where=path, literals_allowed=True, permitted=permitted)
        for removed in draft.removed:
            told = f"the parameter {removed.key} was removed: {removed.why}"
            self.notices.append(Notice(place, PARAM_REMOVED, told))
        return self.kept(type_.name, path, draft, place)

    def kept(self, type_: str, path: str, draft: EntryDraft, place: str) -> EntryDraft:
        """The same side, with a reference in place of each secret, unless secrets are to be stored."""
        masked = [name for name, value in draft.literals.items() if not value.get_secret_value().strip("*")]
        if self.keep == "store" and not masked:
            return draft
        columns = entries.columns(draft.connection)
        references: dict[str, str] = columns["references"]
        replaced = masked if self.keep == "store" else [*draft.literals]
        for name in replaced:
            if self.keep == "env":
                references[name] = f"env:{self.variable(path, name)}"
            else:
                del references[name]
                advice = f"set it: headwater secret {path.rpartition('/')[0]} {path.rpartition('/')[2]}"
                self.notices.append(Notice(place, MASKED, f"the export shows asterisks for its {name}; {advice}"))
        connection = entries.build(type_, columns["mode"], columns["properties"], references)
        literals = {name: value for name, value in draft.literals.items() if name not in replaced}
        return replace(draft, connection=connection, literals=literals)

    def variable(self, path: str, name: str) -> str:
        """A name of an environment variable that no other field has."""
        _, source, env = path.split("/")
        wanted = re.sub(r"[^A-Z0-9_]", "_", f"{source}_{env}_{name}".upper())
        free = (wanted if number == 1 else f"{wanted}_{number}" for number in _counting())
        place = f"{path}.{name}"
        found = next(one for one in free if self.variables.get(one, place) == place)
        self.variables[found] = place
        return found

    def drop(self, problems: list[InvalidInput]) -> bool:
        """Leave out the sources that these problems are of; False where one is of none."""
        pattern = re.compile(rf"\b{re.escape(self.workspace)}/([A-Za-z0-9_]+)")
        found = [match[1] for problem in problems if (match := pattern.search(problem.where))]
        faulty = {name for name in found if name in self.sources}
        if len(found) < len(problems) or not faulty:
            return False
        for name in faulty:
            del self.sources[name]
        self.faults += problems
        return True

    def documents(self) -> tuple[Documents, tuple[str, ...]]:
        """What is to be applied, and the variables that it needs."""
        drafts = [source.draft(name) for name, source in self.sources.items()]
        notices = [*self.notices, *(Notice(fault.where, SKIPPED, fault.reason) for fault in self.faults)]
        places = {f"{self.workspace}/{name}": source.place for name, source in self.sources.items()}
        needed = tuple(name for name, place in self.variables.items() if place.split("/")[1] in self.sources)
        return Documents([], [(WorkspaceDraft(self.workspace), drafts)], notices, places), needed


def _at(place: str, problem: InvalidInput) -> InvalidInput:
    where = f"{place}: {problem.where}" if problem.where else place
    return InvalidInput(problem.reason, where=where, instruction=problem.instruction, code=problem.code)


def _shown(name: str) -> str:
    text = name if isinstance(name, str) and name.isprintable() else repr(name)
    return (text[:57] + "..." if len(text) > 60 else text) or "(no name)"


def _counting() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number
