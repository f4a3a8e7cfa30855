"""A small world to repoint in: a workspace, two sources, and files that name one of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry import model
from registry.store import Store
from tasks.comparison.survey import Column, Object, Survey
from tasks.dependents import (
    Adapter,
    Content,
    FoundDependent,
    FoundReference,
    NotRewritable,
    Place,
    Rename,
    Scope,
    UnitMoved,
    Unread,
)
from tasks.repointing import planning
from tasks.repointing.facts import Looked, Pair, Reach
from tasks.repointing.requests import Request
from tests.registry.samples import retail, source

OLD, NEW = "retail/orders", "retail/orders_v2"
#: Stands in every file, on the line of the name: nobody may ever see it.
CANARY = "cAnArY-of-a-neighbour"


class JsonFiles:
    """Files of tasks in JSON, each with its deployed copy beside it; a task is a dependent, a file a unit."""

    name = "json_files"

    async def scan(self, scope: Scope) -> AsyncIterator[FoundDependent | Unread]:
        for root in scope.roots:
            for one in found_in(Path(root)):
                yield one

    async def read(self, unit: str) -> Content:
        return _held(unit)

    def rewrite(self, content: Content, renames: Sequence[Rename]) -> Content:
        document = json.loads(content.text)
        for rename in renames:
            _, _, number, key = rename.place.pointer.split("/")
            task = document["tasks"][int(number)]
            if task[key] != rename.old:
                raise NotRewritable(f"{rename.old} does not stand there", where=rename.place.pointer)
            task[key] = rename.new
        return _content(_text(document))

    async def write(self, unit: str, before: Content, after: Content) -> None:
        now = (await self.read(unit)).fingerprint
        if now == after.fingerprint:
            return
        if now != before.fingerprint:
            raise UnitMoved("somebody else has changed it", where=unit)
        _replace(Path(unit), after.text)

    async def submit(self, unit: str, message: str) -> None:
        assert message

    async def deploy(self, unit: str) -> None:
        _replace(deployed(unit), _held(unit).text)

    async def verify(self, unit: str, expected: Content) -> str | None:
        return None if deployed(unit).read_text() == expected.text else "what is deployed is something else"

    async def smoke(self, unit: str, details: Mapping[str, Any]) -> str | None:
        return "it said no" if details.get("smoke") == "fails" else None


def deployed(unit: str | Path) -> Path:
    """What runs of a unit."""
    return Path(unit).with_suffix(".deployed")


def found_in(folder: Path) -> list[FoundDependent]:
    """The tasks in the files of a folder."""
    return [
        _found(path, number, task)
        for path in sorted(folder.glob("*.json"))
        for number, task in enumerate(json.loads(path.read_text())["tasks"])
    ]


def _held(unit: str) -> Content:
    return _content(Path(unit).read_text())


def _found(path: Path, number: int, task: Mapping[str, Any]) -> FoundDependent:
    def reference(key: str, role: str) -> FoundReference:
        place = Place(str(path), f"/tasks/{number}/{key}")
        objects, needs = tuple(task.get("tables", ())), task.get("needs", {})
        return FoundReference(task[key], role=role, objects=objects, places=(place,), needs=needs)

    references = [reference(key, role) for key, role in (("reads", "reader"), ("writes", "writer")) if key in task]
    names = ("owner", "resource_group", "locked_by", "env")
    return FoundDependent(
        key=f"{path}#{number}",
        unit=str(path),
        name=task["name"],
        module=task.get("module", "data_studio"),
        references=tuple(references),
        task_kind="sql",
        details={"smoke": task["smoke"]} if "smoke" in task else {},
        **{name: task[name] for name in names if name in task},
    )


def _content(text: str) -> Content:
    return Content(text, hashlib.sha256(text.encode()).hexdigest())


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1)


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)


def survey_of(*tables: str, privileges: Sequence[str] = ("SELECT", "INSERT"), type_: str = "integer") -> Survey:
    """A server with these tables, each with a column `id`."""
    columns = (Column("id", type_, False, 1),)
    may = (*privileges, "USAGE ON SCHEMA")
    return Survey({}, tuple(Object(one, True, "table", columns=columns, privileges=may) for one in tables))


@dataclass
class Observing:
    """Sees what it is told to see; everything is Connectable otherwise."""

    ill: set[str] = field(default_factory=set)
    surveys: dict[str, Survey] = field(default_factory=dict)
    asked: list[Pair] = field(default_factory=list)
    #: Groups from which nothing connects any more after so many questions.
    ill_after: tuple[int, str] | None = None

    async def reach(self, pairs: Collection[Pair]) -> Mapping[Pair, Reach]:
        self.asked += pairs
        late = self.ill_after[1] if self.ill_after and len(self.asked) > self.ill_after[0] else None
        return {one: Reach(one.group not in (*self.ill, late), "PORT.REFUSED") for one in pairs}

    async def survey(self, source: str, env: str, groups: Collection[str], tables: Collection[str]) -> Looked:
        found = self.surveys.get(source)
        return Looked(found, "" if found else "nobody could look")


class World:
    """The workspace `retail` with `orders` and `orders_v2`, and a folder of files."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.adapters: dict[str, Adapter] = {"json_files": JsonFiles()}
        self.observing = Observing()
        retail(store, source("orders"), source("orders_v2"), mode="basic")

    def file(self, name: str, *tasks: Mapping[str, Any]) -> Path:
        """Write a file of tasks, and what is deployed of it."""
        path = self.folder / f"{name}.json"
        whole = [{"name": f"{name}_{number}", **task, "password": CANARY} for number, task in enumerate(tasks)]
        path.write_text(_text({"tasks": whole}))
        deployed(path).write_text(path.read_text())
        return path

    def files(self, count: int, **task: Any) -> list[Path]:
        """As many files, each with one task that reads the old source."""
        return [self.file(f"f{number:05}", {"reads": "orders", **task}) for number in range(count)]

    def scan(self) -> None:
        """Let the registry know of them."""
        found = found_in(self.folder)
        units = {str(path) for path in self.folder.glob("*.json")}
        self.store.dependents.record("retail", "json_files", found, units, self.store.by())

    def plan(self, old: str = OLD, new: str = NEW, **request: Any) -> model.Plan:
        """Scan, and plan."""
        self.scan()
        return self.plan_of_known(old, new, **request)

    def plan_of_known(self, old: str = OLD, new: str = NEW, **request: Any) -> model.Plan:
        """Plan with what the last scan found."""
        wish = Request(old, new, **request)
        return asyncio.run(planning.plan(self.store, wish, self.adapters, self.observing, self.store.by()))

    def names(self) -> list[str]:
        """What each task reads or writes, by file, as it is deployed; its file says the same."""
        told = []
        for path in sorted(self.folder.glob("*.json")):
            assert deployed(path).read_text() == path.read_text()
            told += [
                task[key]
                for task in json.loads(path.read_text())["tasks"]
                for key in ("reads", "writes")
                if key in task
            ]
        return told

    def known(self, path: str) -> int:
        """How many uses of a source the registry knows."""
        return len(self.store.dependents.of(path))
