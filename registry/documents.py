"""The declarative file: its shape, and from its text to drafts, with every fault at its line and column.

    version: 1
    tenant_members: [{user, role}]
    resource_groups: [{name, kind, network, <kind>: {its settings}}]
    workspaces: [{name, mode, resource_groups, members: [{user, role}],
                  certificate_files: [{name, id, description, content | digest}],
                  shares: [{source, workspace, env, side, user}],
                  data_sources: [{name, type, dev: {...}, prod: {...}}],
                  compute_resources: [{name, type, default, settings, dev: {...}, prod: {...}}]}]

A file names what it wants; what it does not name stays as it is: other things, and fields left out. A field that it
does name is replaced whole, lists and entries too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from registry import compute_resources, hostkeys, members, texts, types
from registry.certificate_files import FileDraft
from registry.compute_resources import ComputeDraft
from registry.entries import SourceDraft, draft_source
from registry.errors import HeadwaterError, InvalidInput, InvalidInputs, NotFound
from registry.groups import KINDS, GroupDraft, Settings, SshHop
from registry.members import Membership
from registry.nearest import nearest
from registry.sharing import RuleDraft
from registry.specs import ComputeSpec, FileSpec, GroupSpec, MemberSpec, SourceSpec, Spec, WorkspaceSpec, fields_at
from registry.workspaces import WorkspaceDraft

VERSION = 1
PARAM_REMOVED = "CONFIG.PARAM_REMOVED"
FILE_MISSING = "CONFIG.FILE_MISSING"
FILE_DIFFERS = "CONFIG.FILE_DIFFERS"
CLEAR_PASSWORD = "CONFIG.CLEAR_PASSWORD"  # noqa: S105 - a code

#: A path of keys and indexes.
Where = tuple[str | int, ...]
S = TypeVar("S", bound="Spec")

#: Data sources between two reports of progress.
_REPORT_EVERY = 500


@dataclass(frozen=True)
class Notice:
    """Something that the author of a file should know, and that stops nothing."""

    where: str
    code: str
    message: str


@dataclass(frozen=True)
class Known:
    """What the registry holds already and a reader of files needs.

    Attributes:
        groups: Names of resource groups.
        permits: (workspace, source) -> URL parameters that an audited permit keeps.
    """

    groups: frozenset[str] = frozenset()
    permits: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


@dataclass
class Documents:
    """Everything that some files want."""

    groups: list[GroupDraft] = field(default_factory=list)
    workspaces: list[tuple[WorkspaceDraft, list[SourceDraft]]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    #: `workspace/source` or `resource_group:NAME` -> where it stands.
    places: dict[str, tuple[texts.Parsed, tuple[str | int, ...]]] = field(default_factory=dict)
    #: Workspace -> its compute resources.
    compute_resources: dict[str, list[ComputeDraft]] = field(default_factory=dict)
    #: Workspace -> the files that it keeps.
    certificate_files: dict[str, list[FileDraft]] = field(default_factory=dict)
    shares: list[RuleDraft] = field(default_factory=list)
    tenant_members: list[Membership] = field(default_factory=list)

    def place(self, where: str) -> str:
        """`file:line:column: where`, for a fault that was found later."""
        kind, colon, plain = where.partition(":")
        if kind not in ("data_source", "entry", "workspace", "compute_resource"):
            plain = kind + colon + plain
        names_, _, rest = plain.partition(".")
        parts = names_.split("/")
        found = self.places.get(plain) or self.places.get("/".join(parts[:2]))
        if found is None:
            return where
        parsed, path = found
        return f"{parsed.locate([*path, *parts[2:], *_steps(rest)])}: {where}"


def read_documents(
    sources: Sequence[tuple[str, str]],
    known: Known,
    *,
    literals_allowed: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Documents:
    """Read files.

    Args:
        sources: (name, text) pairs.
        literals_allowed: Whether secrets may stand in the text themselves.
        progress: Called with (data sources read, data sources in all).

    Raises:
        InvalidInputs: Every fault of every file.
    """
    reader = _Reader(known, literals_allowed)
    for name, text in sources:
        reader.take(name, text)
    reader.finish(progress)
    if reader.problems:
        raise InvalidInputs(reader.problems)
    return reader.found


class _Reader:
    """What was found so far, and what is wrong with it."""

    def __init__(self, known: Known, literals_allowed: bool) -> None:
        self.known = known
        self.literals_allowed = literals_allowed
        self.found = Documents()
        self.problems: list[InvalidInput] = []
        self.files: list[texts.Parsed] = []

    def take(self, name: str, text: str) -> None:
        """Read one text as far as its outermost parts."""
        try:
            parsed = texts.parse(name, text)
        except InvalidInput as error:
            self.problems.append(error)
            return
        self.problems += parsed.problems
        version = parsed.data.get("version") if isinstance(parsed.data, dict) else None
        if not isinstance(parsed.data, dict):
            self.bad(parsed, [], "no mapping with version, resource_groups and workspaces", "begin with: version: 1")
        elif isinstance(version, int) and version > VERSION:
            reason = f"the file is of version {version}, this Headwater reads version {VERSION}"
            self.bad(parsed, ["version"], reason, "upgrade Headwater: pip install --upgrade headwater")
        else:
            spec = self.spec(FileSpec, parsed, (), parsed.data)
            for index, one in enumerate(spec.tenant_members if spec else ()):
                self.tenant_member(parsed, ("tenant_members", index), one)
            self.files.append(parsed)

    def finish(self, progress: Callable[[int, int], None]) -> None:
        """Read what is inside the parts, across all files: a faulty part hides no fault of another."""
        for parsed in self.files:
            for index, raw in enumerate(_list(parsed.data, "resource_groups")):
                self.group(parsed, ("resource_groups", index), raw)
        known = self.known.groups | {group.name for group in self.found.groups}
        total = sum(len(_list(raw, "data_sources")) for file in self.files for raw in _list(file.data, "workspaces"))
        done = 0
        for parsed in self.files:
            for index, raw in enumerate(_list(parsed.data, "workspaces")):
                path = ("workspaces", index)
                draft = self.workspace(parsed, path, raw, known)
                engines = [
                    engine
                    for number, given in enumerate(_list(raw, "compute_resources"))
                    for engine in self.compute_resource(parsed, (*path, "compute_resources", number), draft.name, given)
                ]
                self.found.compute_resources.setdefault(draft.name, []).extend(engines)
                drafts: list[SourceDraft] = []
                for number, source in enumerate(_list(raw, "data_sources")):
                    drafts += self.source(parsed, (*path, "data_sources", number), draft.name, source)
                    done += 1
                    if done % _REPORT_EVERY == 0 or done == total:
                        progress(done, total)
                self.found.workspaces.append((draft, drafts))

    def spec(self, model: type[S], parsed: texts.Parsed, path: Where, raw: Any) -> S | None:
        """One part in its shape; None when it has another, which is then among the problems."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                self.explain(parsed, path, fault)
            return None

    def tenant_member(self, parsed: texts.Parsed, path: Where, spec: MemberSpec) -> None:
        try:
            self.found.tenant_members.append(members.of_tenant(spec.user, spec.role))
        except InvalidInput as error:
            self.bad(parsed, (*path, "role"), error.reason, error.instruction)

    def group(self, parsed: texts.Parsed, path: Where, raw: Any) -> None:
        spec = self.spec(GroupSpec, parsed, path, raw)
        if spec is None or not self.once(f"resource_group:{spec.name}", "resource group", spec.name, parsed, path):
            return
        given = {kind: getattr(spec, kind) for kind in KINDS if getattr(spec, kind) is not None}
        strange = [kind for kind in given if kind != spec.kind]
        if spec.kind not in KINDS:
            near = nearest(spec.kind, KINDS) or list(KINDS)
            advice = f"did you mean {' or '.join(near)}?"
            self.bad(parsed, (*path, "kind"), f"no kind of resource group {spec.kind!r}", advice)
        elif strange:
            reason = f"settings of another kind: the group is {spec.kind}"
            self.bad(parsed, (*path, strange[0]), reason, f"remove {strange[0]}")
        elif not given and _required(KINDS[spec.kind]):
            advice = f"give {', '.join(_required(KINDS[spec.kind]))}"
            self.bad(parsed, path, f"the settings of its kind are missing: {spec.kind}", advice)
        else:
            settings = given.get(spec.kind) or KINDS[spec.kind]()
            self.host_keys(parsed, (*path, spec.kind), settings)
            self.found.groups.append(GroupDraft(spec.name, spec.kind, settings, spec.network))

    def host_keys(self, parsed: texts.Parsed, path: Where, settings: Settings | None) -> None:
        """Whether the keys of a hop, and of the one before it, are any. What the registry holds is told by a test."""
        if not isinstance(settings, SshHop):
            return
        try:
            if settings.host_key is not None:
                hostkeys.read(settings.host_key)
        except ValueError as problem:
            advice = (
                f"give the key as this prints it, without the name, after comparing it: ssh-keyscan {settings.host}"
            )
            self.bad(parsed, (*path, "host_key"), str(problem), advice)
        self.host_keys(parsed, (*path, "jump"), getattr(settings, "jump", None))

    def workspace(self, parsed: texts.Parsed, path: Where, raw: Any, known: frozenset[str]) -> WorkspaceDraft:
        spec = self.spec(WorkspaceSpec, parsed, path, raw)
        if spec is None:
            return WorkspaceDraft(str(raw.get("name", "?")) if isinstance(raw, dict) else "?")
        self.once(spec.name, "workspace", spec.name, parsed, path)
        for index, name in enumerate(spec.resource_groups or ()):
            if name not in known:
                near = nearest(name, known)
                advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)[:5])}"
                self.bad(parsed, (*path, "resource_groups", index), f"no resource group {name!r}", advice)
        for index, share in enumerate(spec.shares):
            rule = RuleDraft(f"{spec.name}/{share.source}", share.workspace, share.env, share.side, share.user)
            self.found.places[rule.place] = (parsed, (*path, "shares", index))
            self.found.shares.append(rule)
        kept = self.found.certificate_files.setdefault(spec.name, [])
        for index, one in enumerate(spec.certificate_files):
            where = f"{spec.name}/{one.name}"
            place = (*path, "certificate_files", index)
            if self.once(f"certificate_file:{where}", "certificate file", where, parsed, place):
                content = one.content.encode() if one.content is not None else None
                kept.append(FileDraft(one.name, one.id, one.description, content, one.digest))
        return spec.draft()

    def compute_resource(self, parsed: texts.Parsed, path: Where, workspace: str, raw: Any) -> Iterator[ComputeDraft]:
        spec = self.spec(ComputeSpec, parsed, path, raw)
        if spec is None:
            return
        where = f"{workspace}/{spec.name}"
        # What makes a data source of its name cannot stand beside one.
        what = "data source" if compute_resources.makes_source(spec.type) else "compute resource"
        key = where if what == "data source" else f"compute_resource:{where}"
        if not self.once(key, what, where, parsed, path):
            return
        try:
            draft = compute_resources.draft(
                workspace,
                spec.name,
                spec.type,
                spec.entries(),
                literals_allowed=self.literals_allowed,
                is_default=spec.default,
                settings=spec.settings,
                attributes=spec.attributes(),
                permitted=self.permitted(workspace, spec),
            )
        except NotFound as error:
            self.bad(parsed, (*path, "type"), error.reason, error.instruction)
        except InvalidInputs as error:
            self.problems += [self.placed(problem) for problem in error.problems]
        except InvalidInput as error:
            self.bad(parsed, path, error.reason, error.instruction)
        else:
            if draft.source is not None:
                self.notices(where, spec, draft.source)
            yield draft

    def permitted(self, workspace: str, spec: SourceSpec) -> frozenset[str]:
        kept = spec.permits if spec.permits is not None else self.known.permits.get((workspace, spec.name), ())
        return frozenset(kept)

    def source(self, parsed: texts.Parsed, path: Where, workspace: str, raw: Any) -> Iterator[SourceDraft]:
        spec = self.spec(SourceSpec, parsed, path, raw)
        if spec is None:
            return
        where = f"{workspace}/{spec.name}"
        if not self.once(where, "data source", where, parsed, path):
            return
        try:
            draft = draft_source(
                spec.name,
                spec.type,
                spec.entries(),
                where=where,
                literals_allowed=self.literals_allowed,
                permitted=self.permitted(workspace, spec),
                attributes={"kind": types.get(spec.type).kind, **spec.attributes()},
            )
        except NotFound as error:
            self.bad(parsed, (*path, "type"), error.reason, error.instruction)
        except InvalidInputs as error:
            self.problems += [self.placed(problem) for problem in error.problems]
        else:
            self.notices(where, spec, draft)
            yield draft

    def notices(self, where: str, spec: SourceSpec, draft: SourceDraft) -> None:
        for env, entry in draft.entries.items():
            place = f"{where}/{env}"
            field_ = "properties" if "properties" in spec.entries()[env] else "jdbc_url"
            for removed in entry.removed:
                told = f"the parameter {removed.key} was removed: {removed.why}"
                self.found.notices.append(Notice(self.found.place(f"{place}.{field_}"), PARAM_REMOVED, told))
            if entry.clear_password:
                told = "the URL holds a password in clear; it is stored encrypted, but take it out of the file"
                self.found.notices.append(Notice(self.found.place(f"{place}.jdbc_url"), CLEAR_PASSWORD, told))

    def once(self, key: str, what: str, name: str, parsed: texts.Parsed, path: Where) -> bool:
        """Take note of where a thing stands; False when it stands elsewhere too."""
        if key not in self.found.places:
            self.found.places[key] = (parsed, path)
            return True
        first, there = self.found.places[key]
        reason = f"the {what} {name} stands twice; first at {first.locate([*there, 'name'])}"
        self.bad(parsed, [*path, "name"], reason, "keep one of the two")
        return False

    def placed(self, problem: HeadwaterError) -> InvalidInput:
        place = self.found.place(problem.where)
        return InvalidInput(problem.reason, where=place, instruction=problem.instruction, code=problem.code)

    def bad(self, parsed: texts.Parsed, path: Sequence[str | int], reason: str, instruction: str = "") -> None:
        where = f"{parsed.locate(path)}: {_dotted(path)}".removesuffix(": ")
        self.problems.append(InvalidInput(reason, where=where, instruction=instruction))

    def explain(self, parsed: texts.Parsed, above: Where, fault: ErrorDetails) -> None:
        """One of pydantic's faults, for people. The value at fault is not repeated: it may be a secret gone astray."""
        path, context = (*above, *fault["loc"]), fault.get("ctx", {})
        reason = str(fault["msg"]).removeprefix("Value error, ")
        reason, advice = reason[:1].lower() + reason[1:], str(context.get("instruction", ""))
        if fault["type"] == "extra_forbidden":
            known = fields_at(path[:-1])
            near = nearest(str(path[-1]), known)
            reason, advice = "unknown field", f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        elif fault["type"] == "missing":
            reason = "missing"
        self.bad(parsed, path, reason, advice)


def _dotted(path: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _steps(rest: str) -> list[str | int]:
    """`address[0].port` -> address, 0, port."""
    return [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)(?<!\d\])|\[(\d+)\]", rest)]


def _required(settings: type[Settings]) -> list[str]:
    return [name for name, info in settings.model_fields.items() if info.is_required()]


def _list(raw: Any, key: str) -> list[Any]:
    """What is listed under a key; nothing when there is no list, which is told elsewhere."""
    found = raw.get(key) if isinstance(raw, dict) else None
    return found if isinstance(found, list) else []
