"""What a check needs, put together: targets from the registry, a vantage for each resource group, secrets in bulk.

The command line and the flows share it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import SecretStr

from flows.panel import Panel
from registry import places
from registry.access import Verb
from registry.errors import InvalidInput, NotFound, SecretUnresolved
from registry.store import Store
from registry.targets import CheckTarget, Environment, TargetGroup
from registry.verdict import Verdict
from registry.verdicts import Verdicts
from tasks import references, same_target
from tasks.adhoc import removed
from tasks.fleet import check_all
from tasks.target import Target, from_registry
from tasks.vantages import Outpost, Vantage, open_vantage
from tasks.vantages.local import LocalVantage

Secrets = Mapping[str, SecretStr]


@dataclass(frozen=True)
class GroupPlan:
    """What is checked from one resource group."""

    group: str
    vantage: Vantage | Outpost
    targets: Sequence[Target]
    #: (workspace, source) of those that are tested as another workspace sees them alone.
    seen: frozenset[tuple[str, str]] = frozenset()


def gather(
    store: Store,
    *,
    workspace: str | None = None,
    source: str | None = None,
    env: Environment | None = None,
    group: str | None = None,
) -> list[GroupPlan]:
    """Everything to check that passes the filters, by resource group.

    Raises:
        NotFound: Nothing in the registry answers to these names.
    """
    named = () if source is None else (source,)
    return gather_many(store, named, workspace=workspace, env=env, group=group)


def gather_many(
    store: Store,
    sources: Sequence[str],
    *,
    workspace: str | None = None,
    env: Environment | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    types: Sequence[str] = (),
) -> list[GroupPlan]:
    """As `gather`, for some of the data sources.

    Args:
        sources: `name` or `workspace/name` each; none: all.
        tags: Those that have all of these.
        types: Those of one of these types.

    Raises:
        NotFound: Nothing in the registry answers to these names.
        InvalidInput: A source that is named with another workspace than the one asked for.
    """
    found: dict[tuple[str, str, str], CheckTarget] = {}
    for named in sources or (None,):
        owner, name = _split(named, workspace)
        for one in store.targets(workspace=owner, source=name, env=env, group=group):
            found.setdefault((one.seen_by, one.path, one.group.name), one)
    chosen = [*found.values()]
    if tags or types:
        names = _named(store, workspace, tags, types)
        chosen = [one for one in chosen if (one.workspace, one.source) in names]
    store.expect(Verb.TEST, *sorted({one.seen_by or one.workspace for one in chosen}))
    if not chosen:
        told = "no data source passes the filters" if tags or types else "there is nothing to test"
        advice = (
            "register data sources with `headwater apply -f FILE`, and bind a resource group to their workspace"
            if not (tags or types)
            else "`headwater list` shows what there is"
        )
        raise NotFound(told, where=workspace or "registry", instruction=advice)
    return plan(store, chosen)


def _split(named: str | None, workspace: str | None) -> tuple[str | None, str | None]:
    owner, slash, name = (named or "").partition("/")
    if not slash:
        return workspace, named
    if workspace not in (None, owner):
        raise InvalidInput(f"{named} is of workspace {owner}, --workspace says {workspace}", where="SOURCE")
    return owner, name


def _named(store: Store, workspace: str | None, tags: Sequence[str], types: Sequence[str]) -> set[tuple[str, str]]:
    """(workspace, name) of the sources that pass the filters."""
    found: set[tuple[str, str]] = set()
    number, left = 1, True
    while left:
        page = store.sources.list(workspace=workspace, tags=tags, types_=types, page_number=number, page_size=100)
        found |= {(row.workspace.name, row.name) for row in (*page.items, *page.shared)}
        number, left = number + 1, number * 100 < page.total
    return found


def plan(store: Store, found: Sequence[CheckTarget]) -> list[GroupPlan]:
    """Targets and vantage of each resource group among these."""
    references.install()
    secrets = _Secrets(store, found)
    shared = _sharing_a_target(found)
    grouped: defaultdict[str, list[Target]] = defaultdict(list)
    groups = {one.group.name: one.group for one in found}
    for one in found:
        doubtful = (same_target.BY_TEXT,) if (one.workspace, one.source) in shared else ()
        warnings = (*doubtful, *removed(one.removed))
        grouped[one.group.name].append(from_registry(one, secrets.of(one), warnings))
    own = {(one.workspace, one.source) for one in found if not one.seen_by}
    seen = frozenset({(one.workspace, one.source) for one in found if one.seen_by} - own)
    return [replace(_group_plan(groups[name], targets), seen=seen) for name, targets in grouped.items()]


def _group_plan(group: TargetGroup, targets: Sequence[Target]) -> GroupPlan:
    """A group that cannot be tested from is told with each of its verdicts, and keeps no other from being tested."""
    try:
        place = open_vantage(group.kind, group.name, group.settings, public_key=group.public_key)
        return GroupPlan(group.name, place, targets)
    except InvalidInput as unknown:
        told = [replace(target, problem=unknown, problem_code="DRIVER.MISSING") for target in targets]
        return GroupPlan(group.name, LocalVantage(group.name), told)


async def run(
    plans: Sequence[GroupPlan], *, timeout: float = 5.0, history: Verdicts | None = None
) -> AsyncIterator[Verdict]:
    """Check everything, from all groups at once; verdicts come as soon as all groups have seen a data source.

    Args:
        timeout: Seconds for each check.
        history: The verdicts of the past, for what they tell about those of now.
    """
    ready: asyncio.Queue[Verdict | BaseException | None] = asyncio.Queue()

    async def from_one(one: GroupPlan) -> None:
        try:
            async for verdict in check_all(one.targets, one.vantage, timeout=timeout):
                ready.put_nowait(verdict)
        except Exception as error:
            ready.put_nowait(error)  # for whoever waits for the verdicts
        ready.put_nowait(None)

    seen = frozenset().union(*(one.seen for one in plans))
    running = [asyncio.create_task(from_one(one)) for one in plans]
    panel = Panel([target for one in plans for target in one.targets], history)
    left, broken = len(running), list[BaseException]()
    try:
        while left:
            # Those that have come in the meantime are taken together: the past is asked about many at once.
            items = [await ready.get(), *(ready.get_nowait() for _ in range(ready.qsize()))]
            left -= items.count(None)
            broken += [item for item in items if isinstance(item, BaseException)]
            for verdict in await panel.add(item for item in items if isinstance(item, Verdict)):
                yield _as_seen(verdict) if (verdict.workspace, verdict.source) in seen else verdict
        for verdict in await panel.rest():
            yield _as_seen(verdict) if (verdict.workspace, verdict.source) in seen else verdict
        if broken:
            raise broken[0]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*(one.vantage.close() for one in plans))


#: What the stage `credentials` tells of where secrets are kept.
_WHERE_KEPT = frozenset({"references", "reason", "where", "instruction"})


def _as_seen(verdict: Verdict) -> Verdict:
    """What a workspace that a source is shared with may know: nothing of where its secrets are kept."""
    stages = [
        replace(stage, evidence={key: value for key, value in stage.evidence.items() if key not in _WHERE_KEPT})
        if stage.name == "credentials"
        else stage
        for stage in verdict.stages
    ]
    told = {}
    if verdict.cause == "CONFIG.SECRET_UNRESOLVED":
        path = f"{verdict.workspace}/{verdict.source}"
        remedy = f"Ask somebody of {verdict.workspace}: headwater test {path} --env {verdict.env}"
        told = {"message": "One of its secrets cannot be read where it is kept.", "remedy": remedy}
    return verdict.model_copy(update={"stages": stages, **told})


class _Secrets:
    """The secrets of many targets: those kept here are fetched together when the first is asked for."""

    def __init__(self, store: Store, found: Sequence[CheckTarget]) -> None:
        self._store = store
        self._here = [one for one in found if not references.remote(one.references.values())]
        self._known: dict[str, Secrets | SecretUnresolved] | None = None

    def of(self, one: CheckTarget) -> Callable[[], Secrets]:
        """Resolves the secrets of one target."""
        return lambda: self._resolve(one)

    def _resolve(self, one: CheckTarget) -> Secrets:
        if references.remote(one.references.values()):
            return self._store.resolve_secrets(one)
        if self._known is None:
            resolved = self._store.secrets.resolve(self._here)
            self._known = {each.path: found for each, found in zip(self._here, resolved, strict=True)}
        found = self._known[one.path]
        if isinstance(found, SecretUnresolved):
            raise found
        return found


def _sharing_a_target(found: Sequence[CheckTarget]) -> set[tuple[str, str]]:
    """The sources whose two environments name the same place."""
    named: defaultdict[tuple[str, str], dict[str, places.Place]] = defaultdict(dict)
    for one in found:
        if one.connection is not None and (one.connection.endpoints() or one.connection.place()):
            named[one.workspace, one.source][one.env] = places.place(one.connection)
    return {key for key, sides in named.items() if len(sides) == 2 and len(set(sides.values())) == 1}
