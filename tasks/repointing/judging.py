"""Whether a dependent may be made to use another data source, and would work with it. Pure functions over facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from registry import types, usage
from registry.dependents import Use
from registry.entries import connection_of
from registry.errors import HeadwaterError
from registry.model import DataSource
from tasks.comparison.survey import Object, Survey
from tasks.repointing.columns import Severity, misfits
from tasks.repointing.facts import Looked, Observed, Pair, Reach

_ORDER = (Severity.OK, Severity.WARN, Severity.BLOCKED)
#: The roles that bring data into a source.
WRITERS = frozenset({"writer"})
#: Settings under which a server takes no writes, and how each says so.
_READ_ONLY: Mapping[str, str] = {
    "in_recovery": "true",
    "default_transaction_read_only": "on",
    "read_only": "ON",
    "super_read_only": "ON",
}


#: Rules over what the registry may know wrong: the kind of a synchronization, which is guessed where its code does not
#: tell it; that an engine is attached. What runs on the old source against one of them runs on the new one as well.
_UNSURE = frozenset({"synchronization", "compute_resource"})
#: The protocols whose survey tells what an account may do with a table -> what of it.
_LOOKED_UP: Mapping[str, frozenset[str]] = {
    "postgresql": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "USAGE ON SCHEMA"}),
    "mysql": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "DROP"}),
}
#: What it takes besides.
_SCHEMA: Mapping[str, tuple[str, ...]] = {"postgresql": ("USAGE ON SCHEMA",)}
#: What is granted under another name there.
_GRANTED_AS: Mapping[str, Mapping[str, str]] = {"mysql": {"TRUNCATE": "DROP"}}


@dataclass(frozen=True)
class Finding:
    """Something that a person should know before; one that is ok is told of the whole plan, and changes no verdict."""

    severity: Severity
    told: str


def worst(findings: Collection[Finding]) -> Severity:
    """The verdict over everything that was found."""
    return max((one.severity for one in findings), key=_ORDER.index, default=Severity.OK)


@dataclass(frozen=True)
class Grant:
    """A side of a data source that another workspace may use."""

    env: str
    workspace: str
    seen_as: str
    user: str


@dataclass(frozen=True)
class Subject:
    """Both sources, as the registry has them.

    Attributes:
        grants: Those of the new one.
        bound: Workspace -> the resource groups that are bound to it.
        actor: Whoever plans: what he locks himself is not locked.
    """

    old: DataSource
    new: DataSource
    grants: Sequence[Grant] = ()
    bound: Mapping[str, Sequence[str]] = field(default_factory=dict)
    actor: str = ""

    def side(self, use: Use) -> str | None:
        """The side of the new source that a dependent would get; None: none is shared with it."""
        if use.workspace == self.new.workspace.name:
            return use.env
        return next(
            (
                grant.env
                for grant in self.grants
                if (grant.workspace, grant.seen_as) == (use.workspace, use.env) and grant.user in ("", use.owner)
            ),
            None,
        )

    def groups(self, use: Use) -> Sequence[str]:
        """The resource groups that a dependent runs on; where its own is not known, all that it may run on."""
        return (use.resource_group,) if use.resource_group else self.bound.get(use.workspace, ())

    def seen_from(self, use: Use) -> Iterator[tuple[str, str]]:
        """Each side that a dependent would get, with each group that it would be seen from."""
        side = self.side(use)
        if side is not None:
            yield from ((side, group) for group in self.groups(use))

    def new_name(self, written: str, workspace: str) -> str:
        """How the new source is called where the old one is called so."""
        if "/" in written:
            return self.new.path
        owner = self.new.workspace.name
        return self.new.name if owner == workspace else f"{owner}.{self.new.name}"


def judge(use: Use, subject: Subject, observed: Observed) -> list[Finding]:
    """Everything that speaks against one use of the new source in place of the old one, or for a closer look."""
    side = subject.side(use)
    if side is None:
        told = f"{subject.new.path} is not shared with workspace {use.workspace} for {use.env}"
        return [Finding(Severity.BLOCKED, told)]
    return [
        *_rewritable(use, subject.actor),
        *_types(use, subject, side),
        *_permitted(use, subject, side),
        *_reachable(use, subject, observed, side),
        *_contents(use, subject, observed, side),
    ]


def _rewritable(use: Use, actor: str) -> Iterator[Finding]:
    if not use.places:
        yield Finding(Severity.BLOCKED, "it names the source in its code, which no rewrite reaches: change it there")
    if use.locked_by.partition(" (")[0] not in ("", actor):
        yield Finding(Severity.WARN, f"{use.locked_by} is editing it: it is skipped unless forced")


def _types(use: Use, subject: Subject, side: str) -> Iterator[Finding]:
    """Of one type, or of two that speak one protocol."""
    old, new = types.get(subject.old.type), types.get(subject.new.type)
    speaks, spoken = _protocol(subject.old, use.env), _protocol(subject.new, side)
    if speaks != spoken:
        yield Finding(Severity.BLOCKED, f"{new.title} speaks {spoken}, not the {speaks} of {old.title}")
    elif old.name != new.name:
        written = {place.type for place in use.places if place.type}
        stays = f"; the type written there stays {', '.join(sorted(written))}" if written else ""
        yield Finding(Severity.WARN, f"{new.title} in place of {old.title}: one protocol, two types{stays}")


def _protocol(source: DataSource, env: str) -> str:
    """The protocol that a side speaks; of one that is missing or faulty, the usual one of its type."""
    kind, entry = types.get(source.type), source.entry(env)
    try:
        return kind.protocol_of(connection_of(source.type, entry)) if entry is not None else kind.protocol
    except HeadwaterError:
        return kind.protocol


def _permitted(use: Use, subject: Subject, side: str) -> Iterator[Finding]:
    broken_already = {one.rule for one in _refusals(subject.old, use.env, use)} & _UNSURE
    for refused in _refusals(subject.new, side, use):
        severity = Severity.WARN if refused.rule in broken_already else Severity.BLOCKED
        yield Finding(severity, refused.reason)


def _refusals(source: DataSource, side: str, use: Use) -> list[usage.Refusal]:
    return usage.refusals(source, source.entry(side), use.module, use.task_kind, use.role, env=use.run_env)


def _reachable(use: Use, subject: Subject, observed: Observed, side: str) -> Iterator[Finding]:
    groups = subject.groups(use)
    if not groups:
        yield Finding(Severity.WARN, "nobody knows where it runs, so nothing was tested from there")
    unknown = Reach(None, "nothing was tested from there")
    seen = {group: observed.reach.get(Pair(subject.new.path, side, group), unknown) for group in groups}
    all_fail = all(one.connectable is False for one in seen.values())
    for group, one in seen.items():
        if one.connectable is None:
            yield Finding(Severity.WARN, f"from {group}: {one.told}")
        elif not one.connectable:
            yield Finding(Severity.BLOCKED if all_fail else Severity.WARN, f"not Connectable from {group}: {one.told}")


# --- tables, columns, privileges ------------------------------------------------------------------------------------


def tables_of(objects: Collection[str]) -> set[str]:
    """What to ask a server for: each bound name, and, as it may be a column, what stands before its last dot."""
    return {name for bound in objects for name in (bound, bound.rpartition(".")[0]) if name}


def _contents(use: Use, subject: Subject, observed: Observed, side: str) -> Iterator[Finding]:
    writes = use.role in WRITERS
    there = observed.surveys.get((subject.new.path, side), Looked(None, "nobody looked"))
    here = observed.surveys.get((subject.old.path, use.env), Looked(None, "nobody looked"))
    if not use.objects and not writes:
        return
    if there.survey is None:
        yield Finding(Severity.WARN, f"its tables were not looked at: {there.told}")
        return
    if writes:
        yield from _writable(use, subject, there.survey)
    if use.objects and here.survey is None:
        # That the old one can't be looked at is why one repoints, and says nothing of the new one.
        told = f"types of columns were not compared with {subject.old.path} ({use.env}): {here.told}"
        yield Finding(Severity.OK, told)
    protocol = _protocol(subject.new, side)
    for name in use.objects:
        asked = _Asked(subject.new.path, writes, _wanted(use, name, protocol), _LOOKED_UP.get(protocol, frozenset()))
        yield from _bound(name, here.survey, there.survey, asked)


def _writable(use: Use, subject: Subject, there: Survey) -> Iterator[Finding]:
    for setting, value in _READ_ONLY.items():
        if there.settings.get(setting) == value:
            yield Finding(Severity.BLOCKED, f"{subject.new.path} takes no writes: {setting} is {value}")
    if not use.objects:
        yield Finding(Severity.WARN, "what it writes is not known, so whether the account may was not looked at")


@dataclass(frozen=True)
class _Asked:
    """What is asked of a bound name there.

    Attributes:
        path: The new source.
        wanted: What its account has to be able to do with the name.
        looked_up: What of that the survey can tell.
    """

    path: str
    writes: bool
    wanted: Collection[str]
    looked_up: Collection[str]


def _bound(name: str, here: Survey | None, there: Survey, asked: _Asked) -> Iterator[Finding]:
    """One bound name: a table, or a column of one."""
    ours, theirs = _object(here, name), _object(there, name)
    column = ""
    if not _exists(ours) and not _exists(theirs):
        table, _, column = name.rpartition(".")
        ours, theirs = _object(here, table), _object(there, table)
        column = column if _exists(ours) or _exists(theirs) else ""
    if here is not None and not _exists(ours) and not _exists(theirs):
        yield Finding(Severity.WARN, f"{name} is in neither of both")
        return
    if theirs is None or not theirs.exists:
        hint = f" (but in {', '.join(theirs.elsewhere)})" if theirs and theirs.elsewhere else ""
        hidden = " or hidden from this account" if theirs is not None and theirs.hidden else ""
        yield Finding(Severity.BLOCKED, f"{name} is missing{hidden} in {asked.path}{hint}")
        return
    yield from _allowed(theirs, asked, column)
    if column and all(one.name != column for one in theirs.columns):
        hidden = " or hidden from this account" if theirs.hidden else ""
        yield Finding(Severity.BLOCKED, f"{name} is missing{hidden} in {asked.path}")
    elif ours is not None and ours.exists and theirs.columns:
        old, new = (tuple(one for one in side.columns if not column or one.name == column) for side in (ours, theirs))
        for misfit in misfits(theirs.name, old, new, writes=asked.writes, hides=theirs.hidden):
            yield Finding(misfit.severity, misfit.told)


def _allowed(table: Object, asked: _Asked, column: str) -> Iterator[Finding]:
    """By the server's own catalogue of privileges: nothing is tried, so nothing is left behind."""
    known = [word for word in asked.wanted if word in asked.looked_up and word not in table.untold]
    lacks = [word for word in known if word not in table.privileges]
    lacks += [word for word in known if column and column not in table.partly.get(word, (column,))]
    if lacks:
        may = ", ".join(_may(table, word) for word in table.privileges) or "nothing"
        told = f"the account of {asked.path} may not {', '.join(lacks)} on {table.name}; it may {may}"
        yield Finding(Severity.BLOCKED, told)
    for word in asked.wanted:
        if word not in known:
            told = f"it does {word} on {table.name}; whether the account of {asked.path} may is not told there"
            yield Finding(Severity.WARN, told)
        elif word in table.partly and not column:
            told = f"the account of {asked.path} may {_may(table, word)} of {table.name}, and on no other column"
            yield Finding(Severity.WARN, told)


def _may(table: Object, word: str) -> str:
    """A privilege, with the columns that it is for where it isn't for all."""
    return f"{word} ({', '.join(table.partly[word])})" if word in table.partly else word


def _wanted(use: Use, name: str, protocol: str) -> Collection[str]:
    """What the account has to be able to do with a bound name; nothing where a survey tells no privileges."""
    if protocol not in _LOOKED_UP:
        return ()
    usual = ("INSERT",) if use.role in WRITERS else ("SELECT",)
    names = (name, name.rpartition(".")[0])  # of a column, its table's
    said = {word: None for place in use.places for one in names for word in place.needs.get(one, ())}
    granted_as = _GRANTED_AS.get(protocol, {})
    return [*dict.fromkeys(granted_as.get(word, word) for word in said or usual), *_SCHEMA.get(protocol, ())]


def _object(survey: Survey | None, name: str) -> Object | None:
    return next((one for one in survey.objects if one.name == name), None) if survey is not None and name else None


def _exists(one: Object | None) -> bool:
    return one is not None and one.exists
