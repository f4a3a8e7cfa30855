"""Plans: changes made ready, looked at, and then applied step by step, by one operator at a time.

A plan keeps the versions of everything that it read. `begin` refuses it when it has expired or when something has
moved; each step is recorded before it is done and after, so that whoever applies a plan again, after kill -9 too, goes
on where it broke off. What a step does outside of the registry is its owner's; here is what is remembered of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets as random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session, defer

from registry import access, audit, checks, home, model, workspaces
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import Conflict, InvalidInput, NotFound
from registry.resolving import chunks

#: How long a plan may be applied.
LIFETIME = timedelta(hours=24)


class PlanState(StrEnum):
    """Where a plan is."""

    READY = "ready"
    APPLYING = "applying"
    PAUSED = "paused"
    APPLIED = "applied"
    FAILED = "failed"
    #: Somebody has decided to take all of it back; it ends as rolled back, whoever goes on with it.
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


#: A plan in one of these is at its end: nothing applies it again.
ENDED = frozenset({PlanState.APPLIED, PlanState.ROLLED_BACK})


class StepState(StrEnum):
    """Where a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: It is being taken back: whoever finds it so goes on backwards.
    REVERTING = "reverting"
    ROLLED_BACK = "rolled_back"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class PlannedStep:
    """One step to come.

    Attributes:
        action: What it does, as data: all that doing it and undoing it take. No secrets.
        wave: From 0; a wave begins when the one before it is verified.
    """

    action: Mapping[str, Any]
    wave: int = 0


@dataclass(frozen=True)
class PlanDraft:
    """A plan on its way into the registry.

    Attributes:
        kind: `upgrade`, `repoint`, `delete`.
        document: What people are shown, and what applying takes besides the steps. No secrets.
        versions: Object (`data_source:retail/orders`, `workspace:retail`, `entry:...`, `resource_group:...`) -> the
            version that the plan was made from; see `versions_of`.
    """

    kind: str
    workspace: str | None
    document: Mapping[str, Any]
    versions: Mapping[str, int]
    steps: Sequence[PlannedStep] = ()
    lifetime: timedelta = field(default=LIFETIME)


class Plans:
    """The plans of one registry. What it returns are copies: changing them changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, draft: PlanDraft, by: By) -> model.Plan:
        """Keep a plan.

        Raises:
            NotFound: No such workspace.
        """
        id_ = random.token_hex(8)
        with self._database.write() as session:
            owner = workspaces.find(session, draft.workspace).id if draft.workspace is not None else None
            plan = model.Plan(
                id=id_,
                kind=draft.kind,
                workspace_id=owner,
                digest=digest(draft),
                state=PlanState.READY,
                version=1,
                versions=dict(draft.versions),
                document=dict(draft.document),
                creator=by.actor,
                created_at=by.at,
                expires_at=by.at + draft.lifetime,
                why=by.why,
            )
            session.add(plan)
            session.flush()
            rows = [
                {
                    "plan_id": id_,
                    "position": position,
                    "wave": step.wave,
                    "action": dict(step.action),
                    "state": StepState.WAITING,
                    "message": "",
                }
                for position, step in enumerate(draft.steps)
            ]
            if rows:
                session.execute(insert(model.PlanStep), rows)
            after = {"kind": draft.kind, "digest": plan.digest, "steps": len(rows)}
            audit.write(session, [by.record("plan", f"plan:{id_}", version=1, before=None, after=after)])
        return plan

    def get(self, id_: str, by: By | None = None) -> model.Plan:
        """The plan of this id, or of the only one that begins so.

        Args:
            by: Who asks, to be held against the table of permissions; None: the registry itself.

        Raises:
            NotFound: None does, or several do.
            Forbidden: No role of whoever asks allows to look at the data sources of a workspace that it is about.
        """
        with self._database.read() as session:
            found = _find(session, id_)
            if by is not None:
                for name in sorted(_concerned(session, found)):
                    access.require(session, by, Verb.GET, workspaces.find(session, name))
            return found

    def of_run(self, kind: str, run: str) -> model.Plan | None:
        """The plan that a flow run has made, as its document's `run` says: it goes on with it after an approval."""
        same = (model.Plan.kind == kind, model.Plan.document["run"].as_string() == run)
        with self._database.read() as session:
            return session.scalars(select(model.Plan).where(*same).limit(1)).first()

    def list(self, *, kind: str | None = None, limit: int = 50, by: By | None = None) -> Sequence[model.Plan]:
        """The newest plans first, without their documents.

        Args:
            by: Who asks: plans about workspaces whose data sources he may not list are left out; None: all.
        """
        table = model.Plan
        wanted = select(table).options(defer(table.document)).order_by(table.created_at.desc(), table.id)
        if kind is not None:
            wanted = wanted.where(table.kind == kind)
        with self._database.read() as session:
            if by is None:
                return [*session.scalars(wanted.limit(limit))]
            known = session.scalars(select(model.Workspace))
            among = {one.name for one in known if access.allowed(session, by, Verb.LIST, one)}
            found = (one for one in session.scalars(wanted) if _concerned(session, one) <= among)
            return [*islice(found, limit)]

    def state(self, id_: str) -> PlanState:
        """Where the plan of exactly this id is, without reading the rest of it.

        Raises:
            NotFound: No such plan.
        """
        with self._database.read() as session:
            found = session.scalar(select(model.Plan.state).where(model.Plan.id == id_))
        if found is None:
            raise NotFound(f"no plan {id_!r}", where="plan", instruction="`headwater plan list` shows them")
        return PlanState(found)

    def steps(self, id_: str, *states: StepState) -> Sequence[model.PlanStep]:
        """The steps of a plan in their order; of these states, or all."""
        wanted = select(model.PlanStep).where(model.PlanStep.plan_id == id_).order_by(model.PlanStep.position)
        if states:
            wanted = wanted.where(model.PlanStep.state.in_(states))
        with self._database.read() as session:
            return [*session.scalars(wanted)]

    def counts(self, id_: str) -> dict[StepState, int]:
        """How many steps of a plan are in each state; states of none are left out."""
        wanted = (
            select(model.PlanStep.state, func.count())
            .where(model.PlanStep.plan_id == id_)
            .group_by(model.PlanStep.state)
        )
        with self._database.read() as session:
            return {StepState(state): count for state, count in session.execute(wanted)}

    @contextmanager
    def hold(self, id_: str) -> Iterator[None]:
        """Keep everybody else from applying a plan meanwhile; a killed process lets go by itself.

        Raises:
            Conflict: Somebody else is at it.
        """
        with _held(self._database, id_):
            yield

    def begin(self, id_: str, by: By, expect: Callable[[Session], None] | None = None) -> model.Plan:
        """Let a plan be applied, or gone on with.

        Args:
            expect: Raises when it must not begin; asked in the same transaction, so that of two that begin at once
                the second one sees the first.

        Raises:
            NotFound: No such plan.
            InvalidInput: It is at its end, or has expired before it was begun.
            Conflict: Something that it was made from has changed since; says what.
            Stopped: A program that is asked before says no.
        """
        asked = self.get(id_)
        if asked.state in (PlanState.READY, PlanState.FAILED):
            self._ask(asked, by)
        with self._database.write() as session:
            plan = _find(session, id_)
            if plan.state in ENDED:
                raise InvalidInput(f"plan {plan.id} is {plan.state}", where=f"plan:{plan.id}", instruction="plan again")
            if plan.state == PlanState.ROLLING_BACK:
                told = f"plan {plan.id} is being rolled back"
                raise InvalidInput(told, where=f"plan:{plan.id}", instruction="let its rollback end: roll back again")
            if plan.state == PlanState.READY:
                _expect_fresh(session, plan, by.at)
                if expect is not None:
                    expect(session)
            return _move(session, plan, PlanState.APPLYING, by)

    def _ask(self, plan: model.Plan, by: By) -> None:
        try:
            checks.ask(plan, by)
        except checks.Stopped as stopped:
            with self._database.write() as session:
                told = {"reason": stopped.reason}
                audit.write(session, [by.record("stop", f"plan:{plan.id}", version=None, before=None, after=told)])
            raise

    def expect_fresh(self, id_: str, by: By) -> None:
        """Refuse a plan that `begin` lets go on, where it is to be held against the world once more.

        Raises:
            NotFound: No such plan.
            InvalidInput: It has expired.
            Conflict: Something that it was made from has changed since; says what.
        """
        with self._database.read() as session:
            _expect_fresh(session, _find(session, id_), by.at)

    def move(self, id_: str, state: PlanState, by: By) -> model.Plan:
        """Put a plan into another state, audited."""
        with self._database.write() as session:
            return _move(session, _find(session, id_), state, by)

    def record(
        self,
        step: model.PlanStep,
        state: StepState,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        message: str = "",
        session: Session | None = None,
    ) -> None:
        """Remember where a step is; before it touches anything (`RUNNING`), and when it is at its end.

        Args:
            session: The transaction that the step itself is done in, where it is one of the registry.
        """
        self.record_all([(step, state, before, after, message)], session=session)

    def record_all(
        self,
        moves: Sequence[tuple[model.PlanStep, StepState, Mapping[str, Any] | None, Mapping[str, Any] | None, str]],
        *,
        session: Session | None = None,
    ) -> None:
        """As `record`, of many steps in one transaction: (step, state, before, after, message)."""
        if session is None:
            with self._database.write() as own:
                self.record_all(moves, session=own)
            return
        at = model.now()
        # Rows that set the same columns go together: one statement for thousands of them.
        grouped: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for step, state, before, after, message in moves:
            row: dict[str, Any] = {"id": step.id, "state": state, "message": message}
            row["started_at" if state is StepState.RUNNING else "finished_at"] = at
            row |= {name: dict(side) for name, side in (("before", before), ("after", after)) if side is not None}
            grouped.setdefault(tuple(row), []).append(row)
        for rows in grouped.values():
            session.execute(update(model.PlanStep), rows)


def digest(draft: PlanDraft) -> str:
    """SHA-256 of everything that a plan would do and was made from, in one canonical text."""
    content = {
        "kind": draft.kind,
        "workspace": draft.workspace,
        "document": draft.document,
        "versions": draft.versions,
        "steps": [[step.wave, step.action] for step in draft.steps],
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def versions_of(session: Session, objects: Sequence[str]) -> dict[str, int]:
    """The versions of these objects now; 0 for what is not there.

    Args:
        objects: `workspace:retail`, `data_source:retail/orders`, `entry:retail/orders/prod`, `resource_group:vpc_a`.
    """
    found = dict.fromkeys(objects, 0)
    wanted: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for object_ in found:
        kind, _, name = object_.partition(":")
        owner, _, rest = name.partition("/")
        if kind not in _VERSIONS:
            raise InvalidInput(f"{object_} has no version")
        wanted[kind, owner if rest else ""].add(rest.partition("/")[0] or owner)
    for (kind, owner), names in wanted.items():
        for chunk in chunks(sorted(names)):
            for path, version in _VERSIONS[kind](session, owner, chunk):
                if (object_ := f"{kind}:{path}") in found:
                    found[object_] = version
    return found


def _of_workspaces(session: Session, _: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    table = model.Workspace
    yield from session.execute(select(table.name, table.version).where(table.name.in_(names))).tuples()


def _of_groups(session: Session, _: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    table = model.ResourceGroup
    yield from session.execute(select(table.name, table.version).where(table.name.in_(names))).tuples()


def _of_sources(session: Session, owner: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    wanted = select(model.DataSource.name, model.DataSource.version).join(model.Workspace)
    rows = session.execute(wanted.where(model.Workspace.name == owner, model.DataSource.name.in_(names)))
    yield from ((f"{owner}/{name}", version) for name, version in rows)


def _of_entries(session: Session, owner: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    wanted = select(model.DataSource.name, model.Entry.env, model.Entry.version)
    wanted = wanted.join(model.DataSource, model.DataSource.id == model.Entry.data_source_id).join(model.Workspace)
    rows = session.execute(wanted.where(model.Workspace.name == owner, model.DataSource.name.in_(names)))
    yield from ((f"{owner}/{name}/{env}", version) for name, env, version in rows)


#: Kind of object -> what gives the versions of many: (workspace, names) -> (path, version).
_VERSIONS: Mapping[str, Callable[[Session, str, Sequence[str]], Iterator[tuple[str, int]]]] = {
    "workspace": _of_workspaces,
    "resource_group": _of_groups,
    "data_source": _of_sources,
    "entry": _of_entries,
}


def _concerned(session: Session, plan: model.Plan) -> set[str]:
    """The workspaces that a plan is about: its own, and those that it tells of."""
    read = [object_.partition(":") for object_ in plan.versions]
    named = {name for kind, _, name in read if kind == "workspace"}
    # A repoint to a source of another workspace is no look into that: it is shared.
    found = named or {name.partition("/")[0] for kind, _, name in read if kind == "data_source"}
    if plan.workspace_id is not None:
        found.add(session.get_one(model.Workspace, plan.workspace_id).name)
    return found


def _find(session: Session, id_: str) -> model.Plan:
    found = session.scalars(
        select(model.Plan).where(model.Plan.id.startswith(id_, autoescape=True)).limit(2) if id_ else select(model.Plan)
    ).all()
    if len(found) != 1:
        told = f"no plan {id_!r}" if not found else f"several plans begin with {id_!r}"
        raise NotFound(told, where="plan", instruction="`headwater plan list` shows them")
    return found[0]


def _expect_fresh(session: Session, plan: model.Plan, at: datetime) -> None:
    where = f"plan:{plan.id}"
    if at >= plan.expires_at:
        told = f"the plan expired at {plan.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        raise InvalidInput(told, where=where, instruction="plan again, and look at it again")
    found = moved(session, plan)
    if found:
        told = "\n  ".join(["something has changed since the plan was made", *[*found.values()][:20]])
        raise Conflict(told, where=where, instruction="plan again, and look at it again")


def moved(session: Session, plan: model.Plan) -> dict[str, str]:
    """What has changed since a plan was made: object -> in words."""
    now = versions_of(session, [*plan.versions])
    return {
        object_: f"{object_}: version {was} then, {now[object_] or 'gone'} now"
        for object_, was in plan.versions.items()
        if now[object_] != was
    }


def _move(session: Session, plan: model.Plan, state: PlanState, by: By) -> model.Plan:
    before = {"state": plan.state}
    plan.state, plan.version = state, plan.version + 1
    session.flush()
    after = {"state": state}
    audit.write(session, [by.record(state, f"plan:{plan.id}", version=plan.version, before=before, after=after)])
    return plan


@contextmanager
def _held(database: Database, id_: str) -> Iterator[None]:
    """A lock that the operating system, or the server, takes back from a process that is no more."""
    taken = Conflict(
        "somebody else is applying it right now", where=f"plan:{id_}", instruction=f"headwater plan show {id_}"
    )
    if not database.is_local:
        number = int.from_bytes(hashlib.sha256(f"plan:{id_}".encode()).digest()[:8], "big", signed=True)
        with database.engine.connect() as connection:
            if not connection.execute(text("SELECT pg_try_advisory_lock(:it)"), {"it": number}).scalar():
                raise taken
            connection.commit()  # the lock belongs to the connection, not to a transaction
            try:
                yield
            finally:  # the connection goes back to the pool and lives on
                connection.execute(text("SELECT pg_advisory_unlock(:it)"), {"it": number})
        return
    folder = home.ensure(home.home() / "locks")
    handle = os.open(folder / f"plan-{id_}", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        yield
    finally:
        os.close(handle)
