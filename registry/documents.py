"""The declarative file: its shape, and from its text to drafts, with every fault at its line and column.

    version: 1
    resource_groups: [{name, kind, network, <kind>: {its settings}}]
    workspaces: [{name, mode, resource_groups, data_sources: [{name, type, dev: {...}, prod: {...}}]}]

A file names what it wants; what it does not name stays as it is: other things, and fields left out. A field that it
does name is replaced whole, lists and entries too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyNetwork, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from registry import hostkeys, names, texts, types
from registry.entries import SourceDraft, draft_source
from registry.errors import HeadwaterError, InvalidInput, InvalidInputs, NotFound
from registry.groups import KINDS, GroupDraft, Settings, SshHop
from registry.nearest import nearest
from registry.network import Network
from registry.workspaces import WorkspaceDraft

VERSION = 1
PARAM_REMOVED = "CONFIG.PARAM_REMOVED"
CLEAR_PASSWORD = "CONFIG.CLEAR_PASSWORD"  # noqa: S105 - a code

#: A path of keys and indexes.
Where = tuple[str | int, ...]
S = TypeVar("S", bound="Spec")

#: Data sources between two reports of progress.
_REPORT_EVERY = 500


def _ruled(check: Callable[..., str]) -> AfterValidator:
    def checked(value: str) -> str:
        try:
            return check(value)
        except InvalidInput as error:
            told = {"reason": error.reason, "instruction": error.instruction}
            raise PydanticCustomError("ruled", "{reason}", told) from None

    return AfterValidator(checked)


Description = Annotated[str, _ruled(names.check_description)]


class Spec(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceSpec(Spec):
    """One data source."""

    name: Annotated[str, _ruled(names.DATA_SOURCE.check)]
    type: str
    description: Description | None = None
    tags: list[str] | None = None
    visibility: Literal["everywhere", "data_integration"] | None = None
    #: URL parameters that this source keeps although the allow-list removes them.
    permits: list[str] | None = None
    dev: dict[str, Any] | None = None
    prod: dict[str, Any] | None = None

    def entries(self) -> dict[str, dict[str, Any]]:
        """Environment -> fields, of those that the file gives."""
        return {env: raw for env, raw in (("dev", self.dev), ("prod", self.prod)) if raw is not None}

    def attributes(self) -> dict[str, Any]:
        """What the file says besides."""
        stated = {name: getattr(self, name) for name in ("description", "tags", "visibility", "permits")}
        return {name: value for name, value in stated.items() if value is not None}


class MemberSpec(Spec):
    """One role of one user."""

    user: str
    role: str


class WorkspaceSpec(Spec):
    """One workspace."""

    name: Annotated[str, _ruled(names.WORKSPACE.check)]
    mode: Literal["basic", "standard"] | None = None
    description: Description | None = None
    permitted_ranges: list[IPvAnyNetwork] | None = None
    resource_groups: list[str] | None = None
    members: list[MemberSpec] | None = None
    #: Each a `SourceSpec`, read one by one.
    data_sources: list[Any] = Field(default_factory=list)

    def draft(self) -> WorkspaceDraft:
        """What the file says about the workspace itself."""

        def stated(items: Iterable[Any] | None) -> tuple[Any, ...] | None:
            return None if items is None else tuple(items)

        ranges = None if self.permitted_ranges is None else map(str, self.permitted_ranges)
        members = None if self.members is None else ((member.user, member.role) for member in self.members)
        groups = None if self.resource_groups is None else dict.fromkeys(self.resource_groups)
        return WorkspaceDraft(self.name, self.mode, self.description, stated(ranges), stated(groups), stated(members))


class GroupBase(Spec):
    """One resource group; its settings stand under the name of its kind."""

    name: Annotated[str, _ruled(names.RESOURCE_GROUP.check)]
    kind: str
    network: Network | None = None


_settings_fields: dict[str, Any] = {kind: (settings | None, None) for kind, settings in KINDS.items()}
GroupSpec: type[GroupBase] = create_model("GroupSpec", __base__=GroupBase, **_settings_fields)


class FileSpec(Spec):
    """One file: its parts are a `GroupSpec` or `WorkspaceSpec` each, read one by one."""

    version: Literal[1]
    resource_groups: list[Any] = Field(default_factory=list)
    workspaces: list[Any] = Field(default_factory=list)


#: Where a field stands -> the model that knows the names there. `#` is any index.
_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): FileSpec,
    ("resource_groups", "#"): GroupSpec,
    ("resource_groups", "#", "network"): Network,
    **{("resource_groups", "#", kind): settings for kind, settings in KINDS.items()},
    ("workspaces", "#"): WorkspaceSpec,
    ("workspaces", "#", "members", "#"): MemberSpec,
    ("workspaces", "#", "data_sources", "#"): SourceSpec,
}


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

    def place(self, where: str) -> str:
        """`file:line:column: where`, for a fault that was found later."""
        plain = where.removeprefix("data_source:").removeprefix("entry:").removeprefix("workspace:")
        names_, _, rest = plain.partition(".")
        parts = names_.split("/")
        found = self.places.get("/".join(parts[:2]))
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
            self.spec(FileSpec, parsed, (), parsed.data)
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
        return spec.draft()

    def source(self, parsed: texts.Parsed, path: Where, workspace: str, raw: Any) -> Iterator[SourceDraft]:
        spec = self.spec(SourceSpec, parsed, path, raw)
        if spec is None:
            return
        where = f"{workspace}/{spec.name}"
        if not self.once(where, "data source", where, parsed, path):
            return
        permitted = spec.permits if spec.permits is not None else self.known.permits.get((workspace, spec.name), ())
        try:
            draft = draft_source(
                spec.name,
                spec.type,
                spec.entries(),
                where=where,
                literals_allowed=self.literals_allowed,
                permitted=frozenset(permitted),
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
            known = _fields(path[:-1])
            near = nearest(str(path[-1]), known)
            reason, advice = "unknown field", f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        elif fault["type"] == "missing":
            reason = "missing"
        self.bad(parsed, path, reason, advice)


def _fields(path: Sequence[str | int]) -> list[str]:
    model = _MODELS.get(tuple("#" if isinstance(step, int) else step for step in path))
    return list(model.model_fields) if model else []


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
