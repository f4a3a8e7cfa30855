"""Deployments of a Prefect server: names of data sources among their parameters and job variables.

What names one is said by the schema of the parameters (`tasks.data_source_ref.DataSourceRef`). A deployment's tags say
the rest: `env:dev`, `workspace:retail`, `owner:wang`, `locked-by:li`, `headwater-kind:batch_sync`, `headwater-smoke`.
Prefect has no compare-and-swap: a deployment is read right before and after it is changed. What its schedules and its
work pool name instead of it is found with its place, and for others to change: no single request would do all of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from registry.errors import HeadwaterError, NotFound
from registry.store import open_store
from tasks import prefect_faults
from tasks.connecting.running import Run
from tasks.dependents import (
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
from tasks.dependents.files import pointers
from tasks.dependents.marks import Marked, Marks, Path
from tasks.evidence import StageFailed
from tasks.prefect_api import PrefectApi, settings

#: A run that says it in time whether the new source does its work; a flow may have a switch for it.
SMOKE_TAG, SMOKE_PARAMETER = "headwater-smoke", "headwater_smoke"
#: How long a smoke run may take, and the pauses between two looks at it, in seconds.
LONGEST_SMOKE = 600.0
_LOOK = 1.0

_PAGE = 200
_UNIT = "deployment:"
#: Requests at a time.
_AT_ONCE = 16
#: Changes at a time: a server on SQLite, with workers that report to it, takes one after the other, and lets whoever
#: waits too long go with an error.
_CHANGES_AT_ONCE = 4
#: How often a request is sent again that was not answered in time; what it changes, it changes to the same.
_AGAIN = 3
_PARTS = ("parameters", "job_variables")
#: Where else a name stands that the runs of a deployment get -> who changes it there.
_ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "schedules": (
        "a schedule gives its runs this name",
        "change the parameters of the schedule in Prefect, then scan again",
    ),
    "work_pool": (
        "the work pool gives its runs this name where they say none",
        "change the pool's base job template, or say it in the deployment's job variables, then scan again",
    ),
}
#: How often a list is read anew that others change meanwhile.
_TRIES = 5
#: Deployments whose last runs are asked for at once.
_RUNS_OF = 50
_FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})

#: Event loop -> the connection to its server; whose turn it is to change something there.
_OPEN: WeakKeyDictionary[asyncio.AbstractEventLoop, PrefectApi] = WeakKeyDictionary()
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def _api() -> PrefectApi:
    """The server that `PREFECT_API_URL` names; one connection for all that one event loop does."""
    loop = asyncio.get_running_loop()
    if loop not in _OPEN:
        _OPEN[loop] = await PrefectApi(settings(), again=_AGAIN).__aenter__()
    return _OPEN[loop]


def _turn() -> asyncio.Semaphore:
    return _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_CHANGES_AT_ONCE))


async def _ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Raises: HeadwaterError: The server does not answer, or refuses."""
    try:
        api = await _api()
        if method == "GET":
            return await api.get(path)
        return await (api.post if method == "POST" else api.patch)(path, body or {})
    except StageFailed as failed:
        raise _explained(failed.evidence, path) from None


def _explained(evidence: Mapping[str, Any], path: str) -> HeadwaterError:
    status = evidence.get("http_status")
    if status in (409, 422):
        told = f"Prefect refuses it (HTTP {status}): the new name does not fit the schema of the parameters"
        return HeadwaterError(told, where=path, instruction="`headwater deploy` fills in the choices of the forms")
    return HeadwaterError(prefect_faults.told(evidence), where=path, instruction=prefect_faults.advice(evidence))


@dataclass(frozen=True)
class PrefectDeployments:
    """The deployments of one Prefect server."""

    name: str = "prefect_deployments"

    async def scan(self, scope: Scope) -> AsyncIterator[FoundDependent | Unread]:
        """Every deployment of a workspace. One that names no data source has no references.

        Raises:
            HeadwaterError: The server does not answer.
        """
        pools = {one["name"]: _variables(one) for one in await _pages("/work_pools/filter")}
        groups = await asyncio.to_thread(_groups)
        flows = {one["id"]: one["name"] for one in await _pages("/flows/filter")}
        wanted = []
        for one in await _pages("/deployments/filter", sort="CREATED_DESC"):
            deployment = Deployment(one, f"{flows.get(one['flow_id'], 'flow')}/{one['name']}", pools)
            if not deployment.is_in(scope):
                continue
            try:
                wanted.append((deployment, deployment.marked()))
            except RecursionError:
                reason = f"the schema of the parameters of {deployment.name} refers to itself without an end"
                yield Unread(Place(f"{_UNIT}{deployment.id}", "/parameters"), reason)
        wanted.sort(key=lambda one: one[0].name)
        runs = await _last_runs([one.id for one, marked in wanted if marked])
        page = (await _api()).page_of_deployment
        for deployment, marked in wanted:
            yield deployment.found(marked, groups, runs.get(deployment.id), page(deployment.id), scope)

    async def read(self, unit: str) -> Content:
        """Parameters and job variables. Raises: HeadwaterError: It is gone, or the server does not answer."""
        return _content(_effective(await _document(unit)))

    def rewrite(self, content: Content, renames: Sequence[Rename]) -> Content:
        """The same with these names changed. Raises: NotRewritable."""
        data = json.loads(content.text)
        for one in renames:
            path = pointers.read(one.place.pointer)[0]
            if elsewhere := _ELSEWHERE.get(path[0]):
                reason, instruction = elsewhere
                raise NotRewritable(reason, where=f"{one.place.unit}#{one.place.pointer}", instruction=instruction)
            holder = _at(data, path[:-1])
            key: Any = int(path[-1]) if isinstance(holder, list) and path[-1].isdecimal() else path[-1]
            try:
                is_there = holder[key] == one.old
            except (KeyError, IndexError, TypeError):
                is_there = False
            if not is_there:
                where = f"{one.place.unit}#{one.place.pointer}"
                raise NotRewritable(f"{one.old!r} does not stand there", where=where, instruction="scan again")
            holder[key] = one.new
        return _content(data)

    async def write(self, unit: str, before: Content, after: Content) -> None:
        """Change a deployment by one request; only names that differ are changed. Raises: UnitMoved."""
        document = await _document(unit)
        now = _content(_effective(document))
        if now.fingerprint == after.fingerprint:
            return
        if now.fingerprint != before.fingerprint:
            raise UnitMoved("somebody else has changed the deployment; it is left alone", where=unit)
        changed = {part: deepcopy(document[part]) or {} for part in _PARTS}
        for path, value in _differences(json.loads(now.text), json.loads(after.text)):
            _put(changed, path, value)
        body = {part: changed[part] for part in _PARTS if changed[part] != (document[part] or {})}
        async with _turn():
            if not await _ask("PATCH", f"/deployments/{_id(unit)}", body):
                raise _gone(unit)
        if (await self.read(unit)).fingerprint != after.fingerprint:
            raise UnitMoved("somebody else has changed the deployment at the same time", where=unit)

    async def submit(self, unit: str, message: str) -> None:
        """Nothing: a deployment is changed at once."""

    async def deploy(self, unit: str) -> None:
        """Nothing: runs that are scheduled already are scheduled anew by Prefect."""

    async def verify(self, unit: str, expected: Content) -> str | None:
        """Whether the server holds what was written."""
        try:
            now = await self.read(unit)
        except HeadwaterError as problem:
            return str(problem)
        return None if now.fingerprint == expected.fingerprint else f"{unit} holds something else than was written"

    async def smoke(self, unit: str, details: Mapping[str, Any]) -> str | None:
        """Run a deployment once that is tagged `headwater-smoke`, or has a parameter `headwater_smoke`."""
        document = await _document(unit)
        switch = SMOKE_PARAMETER in (document.get("parameter_openapi_schema") or {}).get("properties", {})
        if not switch and SMOKE_TAG not in document["tags"]:
            return None
        body = {
            "parameters": {SMOKE_PARAMETER: True} if switch else {},
            "tags": [SMOKE_TAG],
            "idempotency_key": str(uuid4()),  # sent again, it is the same run
        }
        run = await _ask("POST", f"/deployments/{_id(unit)}/create_flow_run", body)
        if run is None:
            raise _gone(unit)
        return await _ended(run["id"])


async def _ended(run: str) -> str | None:
    """None when a run ends well, else how it ended."""
    page = (await _api()).page_of(run)
    until, state = datetime.now(UTC) + timedelta(seconds=LONGEST_SMOKE), dict[str, Any]()
    while datetime.now(UTC) < until:
        state = (await _ask("GET", f"/flow_runs/{run}") or {}).get("state") or {}
        if state.get("type") in _FINAL:
            return None if state["type"] == "COMPLETED" else f"its run is {state.get('name')}: {page}"
        await asyncio.sleep(_LOOK)
    # Left alone it would run some day, on whichever source is named by then.
    kind = "CANCELLING" if state.get("type") == "RUNNING" else "CANCELLED"
    await _ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": kind}, "force": True})
    return f"its run did not end within {LONGEST_SMOKE:g} s and was cancelled: {page}"


# --- what a deployment says -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deployment:
    """One deployment as the server tells it.

    Attributes:
        name: `flow/deployment`.
        pools: Work pool -> the schema of its job variables.
    """

    document: Mapping[str, Any]
    name: str
    pools: Mapping[str, Mapping[str, Any]]

    @property
    def id(self) -> str:
        """The server's id."""
        return str(self.document["id"])

    @property
    def run(self) -> Run:
        """Its runs, as far as they are alike."""
        one = self.document
        pool, tags = one.get("work_pool_name") or "", tuple(one.get("tags") or ())
        return Run(self.name, self.id, pool, tags, one.get("parameters") or {})

    def is_in(self, scope: Scope) -> bool:
        """Whether it is meant: of this workspace or of none, and one of the roots where there are any."""
        if self.run.tag("workspace") not in ("", scope.workspace):
            return False
        names = (self.name, self.document["name"], self.id)
        return not scope.roots or any(fnmatchcase(name, root) for root in scope.roots for name in names)

    def marked(self) -> list[tuple[Path, Marked]]:
        """(what it stands in, name) of all that names a data source."""
        parameters = _parameters(self.document)
        found: list[tuple[Path, Marked]] = [
            (("parameters",), one) for one in parameters.found(_effective(self.document)["parameters"])
        ]
        for schedule in self.document.get("schedules") or ():
            at = ("schedules", str(schedule.get("id")), "parameters")
            found += [(at, one) for one in parameters.found(schedule.get("parameters") or {})]
        variables, said = Marks(self.pools.get(self.run.pool, {})), self.document.get("job_variables") or {}
        own = variables.found(said)
        found += [(("job_variables",), one) for one in own]
        paths = {one.path for one in own}
        return [
            *found,
            *((("work_pool",), one) for one in variables.found(variables.filled(said)) if one.path not in paths),
        ]

    def found(
        self,
        marked: Sequence[tuple[Path, Marked]],
        groups: Mapping[str, str],
        last_run: datetime | None,
        page: str,
        scope: Scope,
    ) -> FoundDependent:
        """What is kept of it.

        Args:
            marked: All that names a data source.
            groups: Work pool -> resource group.
        """
        run, one = self.run, self.document
        env = run.own_env() or scope.options.get("env", "prod")
        kind = run.tag("headwater-kind") or "flow"
        created_by = one.get("created_by") or {}
        return FoundDependent(
            key=self.id,
            unit=f"{_UNIT}{self.id}",
            name=self.name[:255],
            module=_module(kind, env),
            references=tuple(_references(f"{_UNIT}{self.id}", marked)),
            task_kind=kind,
            env=env,
            owner=run.tag("owner") or str(created_by.get("display_value") or ""),
            resource_group=groups.get(run.pool, ""),
            location=page,
            locked_by=run.tag("locked-by"),
            last_run_at=last_run,
            details=self._details(),
        )

    def _details(self) -> dict[str, Any]:
        one = self.document
        switch = SMOKE_PARAMETER in (one.get("parameter_openapi_schema") or {}).get("properties", {})
        schedules = [_schedule(each["schedule"]) for each in one.get("schedules") or () if each.get("active", True)]
        return {
            "pool": self.run.pool,
            "paused": bool(one.get("paused")),
            "schedules": schedules,
            **({"smoke": True} if switch or SMOKE_TAG in self.run.tags else {}),
        }


def _module(kind: str, env: str) -> str:
    """As `tasks.connecting` has it: code is developed in Data Studio and run by the Operation Center."""
    if kind.endswith("sync"):
        return "data_integration"
    return "data_studio" if env == "dev" else "operation_center"


def _references(unit: str, marked: Sequence[tuple[Path, Marked]]) -> Iterator[FoundReference]:
    for part, one in marked:
        place = Place(unit, pointers.written([(*part, *one.path)]))
        yield FoundReference(one.name, "", one.role, one.objects, (place,))


def _schedule(schedule: Mapping[str, Any]) -> str:
    return next((f"{word} {schedule[word]}" for word in ("cron", "interval", "rrule") if schedule.get(word)), "")


def _variables(pool: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (pool.get("base_job_template") or {}).get("variables")
    return found if isinstance(found, Mapping) else {}


def _parameters(document: Mapping[str, Any]) -> Marks:
    return Marks(document.get("parameter_openapi_schema") or {})


def _groups() -> dict[str, str]:
    """Work pool -> the resource group that it is."""
    with open_store() as store:
        found = [one for one in store.groups.list() if one.kind == "worker"]
    return {str(one.settings.get("work_pool")): one.name for one in found}


# --- asking the server ----------------------------------------------------------------------------------------------


async def _pages(path: str, **more: Any) -> list[Any]:
    """All of a list. Each page has to begin with the last item of the one before: else somebody has made or deleted one
    meanwhile, and another one would be missed.

    Raises:
        HeadwaterError: It never stays the same for as long as it takes to read it.
    """
    for _ in range(_TRIES):
        found: list[Any] = []
        while True:
            page = await _ask("POST", path, {"limit": _PAGE, "offset": max(len(found) - 1, 0), **more})
            if found and (not page or page[0]["id"] != found[-1]["id"]):
                break
            found += page[1:] if found else page
            if len(page) < _PAGE:
                return found
    raise HeadwaterError("the list changes faster than it can be read", where=path, instruction="scan again")


async def _last_runs(deployments: Sequence[str]) -> dict[str, datetime]:
    """When each was run last."""
    slots = asyncio.Semaphore(_AT_ONCE)
    found: dict[str, str] = {}

    async def of(ids: Sequence[str]) -> None:
        """The answer tells the runs that began last, of whichever of these; the others are asked for again."""
        left = [*ids]
        while left:
            began = {"start_time": {"is_null_": False}, "deployment_id": {"any_": left}}
            body = {"limit": _PAGE, "sort": "START_TIME_DESC", "flow_runs": began}
            async with slots:
                runs = await _ask("POST", "/flow_runs/filter", body)
            for run in runs:
                found.setdefault(run["deployment_id"], run["start_time"])
            left = [one for one in left if one not in found] if len(runs) == _PAGE else []

    await asyncio.gather(*(of(deployments[at : at + _RUNS_OF]) for at in range(0, len(deployments), _RUNS_OF)))
    return {id_: datetime.fromisoformat(at) for id_, at in found.items()}


def _id(unit: str) -> str:
    return unit.removeprefix(_UNIT)


def _gone(unit: str) -> NotFound:
    return NotFound("there is no such deployment any more", where=unit, instruction="scan again")


async def _document(unit: str) -> dict[str, Any]:
    found = await _ask("GET", f"/deployments/{_id(unit)}")
    if found is None:
        raise _gone(unit)
    return dict(found)


# --- what a deployment holds ----------------------------------------------------------------------------------------


def _effective(document: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with those defaults that name data sources, and job variables: what its runs get."""
    filled = _parameters(document).filled(document.get("parameters") or {})
    return {"parameters": filled, "job_variables": document.get("job_variables") or {}}


def _content(data: Mapping[str, Any]) -> Content:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Content(text, hashlib.sha256(text.encode()).hexdigest())


def _at(data: Any, path: Path) -> Any:
    for key in path:
        if isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            data = data.get(key) if isinstance(data, dict) else None
    return data


def _differences(before: Any, after: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(where, value) of all that is another one afterwards."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for key in after:
            yield from _differences(before[key], after[key], (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, (*path, str(number)))
    elif before != after:
        yield path, after


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    """Set a value; what is on the way to it and only a default so far is made."""
    holder: Any = data
    for key in path[:-1]:
        holder = holder[int(key)] if isinstance(holder, list) else holder.setdefault(key, {})
    if isinstance(holder, list):
        holder[int(path[-1])] = value
    else:
        holder[path[-1]] = value


ADAPTER = PrefectDeployments()
