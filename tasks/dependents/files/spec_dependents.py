"""Dependents out of the names that stand in a FlowSpec: who uses each, and what is known of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from registry.errors import HeadwaterError
from tasks.dependents import FoundDependent, FoundReference, Place
from tasks.dependents.files import documents, git, pointers, spec_work, units
from tasks.dependents.files.spec_work import Code
from tasks.dependents.files.texts import Malformed
from tasks.dependents.files.uses import REFERENCE, Holder, Use, objects, said, value

#: Keys that lead from something that runs into its parts.
_PARTS = frozenset(
    [
        *("script", "content", "code", "steps", "parameter", "connection", "datasource", "runtimeresource"),
        *("metadata", "trigger", "file", "table", "calcengine"),
        *("sourcedatasourcesettings", "destinationdatasourcesettings"),
    ]
)
_IDS = ("id", "uuid", "diJobId", "apiId", "nodeId")
_NAMES = ("name", "apiName", "jobName", "nodeName")
#: Where work runs, as FlowSpec and OpenAPI say it.
_ENVS: Mapping[str, str] = {"dev": "dev", "development": "dev", "prod": "prod", "production": "prod"}


@dataclass(frozen=True)
class Named:
    """A use with the name that is meant and the place where that name is changed."""

    use: Use
    source: str
    type: str
    place: Place


class Reading(Protocol):
    """What a scan knows beside the file."""

    env: str
    edited: git.Edited

    def plain(self, path: Path, text: str) -> str:
        """A text with placeholders resolved."""
        ...


#: The objects from the root to something that runs, the latter last.
_Chain = tuple[Holder, ...]


def gather(path: Path, data: Any, named: Sequence[Named], reading: Reading) -> Iterator[FoundDependent]:
    """The dependents of a file, each with all that it uses."""
    groups = dict[pointers.Levels, tuple[_Chain, list[Named]]]()
    for one in named:
        for chain in _users(data, _chain(one.use)):
            levels = chain[-1].levels if chain else ((),)
            groups.setdefault(levels, (chain, []))[1].append(one)
    scripts = _listed(data, "scripts")
    keys = set[str]()
    for levels, (chain, together) in groups.items():
        found = _Dependent(path, data, chain, scripts, reading).found(together)
        if found.key in keys:
            found = replace(found, key=f"{found.key}{pointers.written(levels)}")
        keys.add(found.key)
        yield found


def _chain(use: Use) -> _Chain:
    """The objects from the root to the last one that is no part of another and has a name or an id."""
    parts = (number for number, holder in enumerate(use.holders) if holder.key.lower() in _PARTS)
    whole = [*use.holders[: next(parts, len(use.holders))]]
    while len(whole) > 1 and not said(whole[-1].data, *_IDS, *_NAMES):
        whole.pop()
    return tuple(whole)


def _users(data: Any, chain: _Chain) -> list[_Chain]:
    """Who runs a script that stands by itself and is meant by `{{id}}`: those nodes; else what there is."""
    if not chain or chain[-1].key.lower() != "scripts":
        return [chain]
    wanted = said(chain[-1].data, *_IDS)
    return [found for found in objects(data, ()) if _runs(found[-1].data, wanted)] or [chain]


def _runs(node: Mapping[str, Any], script: str) -> bool:
    reference = REFERENCE.fullmatch(said(node, "script"))
    return reference is not None and reference[1].rpartition(".")[2] == script


def _listed(data: Any, key: str) -> list[Mapping[str, Any]]:
    """What a document lists under a key, in its `spec` or outside."""
    found = value(value(data, "spec"), key) or value(data, key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


@dataclass(frozen=True)
class _Dependent:
    """One dependent of a file."""

    path: Path
    document: Any
    chain: _Chain
    scripts: Sequence[Mapping[str, Any]]
    reading: Reading

    def found(self, named: Sequence[Named]) -> FoundDependent:
        """All that is known of it."""
        around = self._around()
        runner = around[0] if around else {}
        code = self._code(runner)
        module, task_kind = spec_work.kind(named[0].use, code)
        rewritten = sorted({self.path, *(Path(one.place.unit) for one in named)})
        identity, name = said(runner, *_IDS), said(runner, *_NAMES)
        here = pointers.written(self.chain[-1].levels) if self.chain else ""
        smoke = value(value(runner, "metadata"), "smoke")
        details = {"id": identity, "kind": said(self.document, "kind"), "command": code.command, "smoke": bool(smoke)}
        return FoundDependent(
            key=f"{self.path}#{identity or name or here}",
            unit=str(self.path),
            name=name or identity or self.path.name.partition(".")[0],
            module=module,
            references=self._references(named, code),
            task_kind=task_kind,
            env=_ENVS.get(_nearest(around, _env).lower(), self.reading.env),
            owner=_nearest(around, _owner),
            resource_group=self._group(around) or spec_work.resource_group(named[0].use),
            location=said(value(runner, "script"), "path") or str(self.path),
            locked_by=next(filter(None, map(self.reading.edited.by, rewritten)), ""),
            details={key: told for key, told in details.items() if told},
        )

    def _around(self) -> list[Mapping[str, Any]]:
        """What runs, then what holds it, up to the root. For code that lies beside its spec, those of the spec."""
        around = [holder.data for holder in reversed(self.chain)]
        if around and isinstance(value(around[-1], "steps"), list):
            return [*_beside(self.path), *around]
        return around

    def _code(self, runner: Mapping[str, Any]) -> Code:
        code = spec_work.code_of(runner, self.scripts)
        if code.text or "SQL" not in code.command.upper():
            return code
        stem = self.path.name.removesuffix(self.path.suffix).removesuffix(".spec")
        try:
            return replace(code, text=units.read(str(self.path.with_name(f"{stem}.sql"))).text)
        except HeadwaterError:
            return code

    def _group(self, around: Sequence[Mapping[str, Any]]) -> str:
        for one in around:
            resource = value(one, "runtimeResource", "resourceSpec")
            if isinstance(resource, str) and (reference := REFERENCE.fullmatch(resource)):
                resource = self._resource(reference[1].rpartition(".")[2])
            if group := said(resource, "resourceGroup", "resourceGroupId"):
                return self.reading.plain(self.path, group)
        return ""

    def _resource(self, wanted: str) -> Any:
        return next((one for one in _listed(self.document, "runtimeResources") if said(one, "id") == wanted), None)

    def _references(self, named: Sequence[Named], code: Code) -> tuple[FoundReference, ...]:
        """One for each source and role, with all its places and tables."""
        types = dict[str, str]()
        objects = defaultdict[tuple[str, str], dict[str, None]](dict)
        places = defaultdict[tuple[str, str], dict[Place, None]](dict)
        needs = defaultdict[tuple[str, str], dict[str, tuple[str, ...]]](dict)
        for one in named:
            for bound in spec_work.bound(one.use, code, one.type):
                types[one.source] = types.get(one.source) or bound.type
                objects[one.source, bound.role] |= dict.fromkeys(bound.objects)
                places[one.source, bound.role][one.place] = None
                known = needs[one.source, bound.role]
                known |= {name: tuple({*known.get(name, ()), *words}) for name, words in bound.needs.items()}
        return tuple(
            FoundReference(source, types[source], role, tuple(objects[source, role]), tuple(found), needs[source, role])
            for (source, role), found in places.items()
        )


def _nearest(around: Sequence[Mapping[str, Any]], told: Callable[[Mapping[str, Any]], str]) -> str:
    return next((found for one in around if (found := told(one))), "")


def _owner(data: Mapping[str, Any]) -> str:
    return said(data, "owner") or said(value(data, "metadata"), "owner")


def _env(data: Mapping[str, Any]) -> str:
    names = ("env", "envType", "environment")
    return said(value(data, "metadata"), *names) or said(data, *names)


def _beside(path: Path) -> list[Mapping[str, Any]]:
    """What runs the code of a file, by the spec beside it, and what holds that."""
    for ending, format in documents.FORMATS.items():
        spec = path.with_name(f"{path.name.removesuffix(path.suffix)}.spec{ending}")
        try:
            data = documents.load(units.read(str(spec)).text, format)
        except (HeadwaterError, Malformed):
            continue
        for chain in objects(data, ()):
            if value(chain[-1].data, "script") is not None:
                return [holder.data for holder in reversed(chain)]
    return []
