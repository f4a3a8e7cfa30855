"""Random lives of data sources, led by several people at once: whatever they do, and whoever is refused, these hold.

No dependent points to nothing, no secret is lost or seen, no rule is broken, and the audit tells everything.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from registry import access, compute_resources, model
from registry.access import PERMISSIONS, Role, Verb
from registry.audit import By
from registry.entries import SourceDraft, draft_source
from registry.errors import Forbidden, HeadwaterError
from registry.members import Membership
from registry.store import Store, open_store
from registry.workspaces import WorkspaceDraft
from tasks.dependents import FoundDependent, FoundReference, Place
from tests.registry.samples import fields

#: Every secret begins so; nothing but its cipher text may be found.
SECRET = "cAnArY-lifecycle-"
WORKSPACES = ("retail", "sales")
NAMES = ("orders", "bills")
#: Who has which role where. `boss` owns the tenant.
ROLES = {
    ("ann", "retail"): Role.OPERATOR,
    ("ann", "sales"): Role.VISITOR,
    ("dan", "retail"): Role.DEVELOP,
    ("eva", "retail"): Role.ADMIN,
    ("eva", "sales"): Role.ADMIN,
}
#: Those who may do most come more often: a life in which all is refused is short.
ACTORS = ("boss", "eva", "boss", "eva", "ann", "dan")

T = TypeVar("T")

actors = st.sampled_from(ACTORS)
places = st.sampled_from(WORKSPACES)
names = st.sampled_from(NAMES)
envs = st.sampled_from(["dev", "prod"])
#: Which of the things that are there.
picks = st.integers(0, 11)


class Lives(RuleBasedStateMachine):
    """The registry, and beside it what a user would remember of it."""

    #: A registry without contents, to be copied.
    empty: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="headwater-lives-"))
        shutil.copy(self.empty, self.folder)
        self.store: Store = open_store(self.folder)
        #: `workspace/name/env` -> the secret that was set last.
        self.secrets: dict[str, str] = {}
        self.refusals = 0
        self.made = 0
        #: What was seen since the last deed: the conditions of all rules ask for the same.
        self.seen: dict[str, Any] = {}

    @initialize()
    def settle(self) -> None:
        root = By("root", owns_registry=True)
        self.store.workspaces.create(WorkspaceDraft("retail", mode="standard"), root)
        self.store.workspaces.create(WorkspaceDraft("sales", mode="basic"), root)
        self.store.members.grant(Membership("boss", Role.TENANT_OWNER), root)
        for (user, workspace), role in ROLES.items():
            self.store.members.grant(Membership(user, role, workspace), root)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    # --- what people do ---------------------------------------------------------------------------------------

    def does(self, actor: str, verb: Verb, workspaces: tuple[str, ...], deed: Callable[[By], Any]) -> Any:
        """A deed that may be refused; one that is not must have been allowed. Returns None where it was refused."""
        try:
            done = deed(By(actor, why="a random life"))
        except Forbidden:
            self.refusals += 1
            return None
        except HeadwaterError:
            return None
        finally:
            self.seen.clear()
        assert any(self.may(actor, verb, one) for one in workspaces), f"{actor} must not {verb}"
        return done if done is not None else True

    def once(self, what: str, look: Callable[[], T]) -> T:
        """What a look shows, taken once between two deeds."""
        if what not in self.seen:
            self.seen[what] = look()
        found: T = self.seen[what]
        return found

    def paths(self) -> list[tuple[str, str]]:
        """What is there: (workspace, name)."""
        return self.once("paths", self._paths)

    def _paths(self) -> list[tuple[str, str]]:
        with self.store.database.read() as session:
            rows = session.execute(select(model.Workspace.name, model.DataSource.name).join(model.DataSource))
            return sorted((workspace, name) for workspace, name in rows)

    def remains(self) -> list[str]:
        """What can be restored."""
        return self.once("remains", lambda: [one.path for one in self.store.tombstones.list()])

    def mode(self) -> str:
        """Of the workspace that is upgraded."""
        return self.once("mode", lambda: self.store.workspaces.get("sales").mode)

    def picked(self, number: int) -> tuple[str, str]:
        found = self.paths()
        return found[number % len(found)]

    def may(self, actor: str, verb: Verb, workspace: str) -> bool:
        return actor == "boss" or ROLES.get((actor, workspace)) in PERMISSIONS[verb]

    def draft(self, workspace: str, name: str, sides: list[str]) -> tuple[SourceDraft, dict[str, str]]:
        self.made += 1
        told = {env: f"{SECRET}{self.made}-{env}" for env in sides}
        raw = {env: fields(password=told[env], database=f"{name}_{env}") for env in sides}
        draft = draft_source(name, "postgresql", raw, where=f"{workspace}/{name}", literals_allowed=True)
        return draft, {f"{workspace}/{name}/{env}": secret for env, secret in told.items()}

    @rule(actor=actors, workspace=places, name=names, sides=st.lists(envs, min_size=1, unique=True))
    def create(self, actor: str, workspace: str, name: str, sides: list[str]) -> None:
        draft, told = self.draft(workspace, name, sides)
        if self.does(actor, Verb.CREATE, (workspace,), lambda by: self.store.sources.create(workspace, draft, by)):
            self.secrets |= told

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks, env=envs)
    def set_a_secret(self, actor: str, pick: int, env: str) -> None:
        workspace, name = self.picked(pick)
        draft, told = self.draft(workspace, name, [env])
        if self.does(actor, Verb.UPDATE, (workspace,), lambda by: self.store.sources.update(workspace, draft, by)):
            self.secrets |= told

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks, new=st.sampled_from(["copy", "spare"]))
    def clone(self, actor: str, pick: int, new: str) -> None:
        workspace, name = self.picked(pick)
        if self.does(actor, Verb.CLONE, (workspace,), lambda by: self.store.sources.clone(workspace, name, new, by)):
            copied = {path: secret for path, secret in self.secrets.items() if path.startswith(f"{workspace}/{name}/")}
            self.secrets |= {f"{workspace}/{new}/{path.rpartition('/')[2]}": it for path, it in copied.items()}

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks, side=st.sampled_from(["dev", "prod", "both"]), force=st.booleans())
    def delete(self, actor: str, pick: int, side: Any, force: bool) -> None:
        workspace, name = self.picked(pick)
        path = f"{workspace}/{name}"
        used = self.used_in_production(path) if side != "dev" else 0
        forced = [path] if force else []
        deed = lambda by: self.store.deletions.delete(path, by, env=side, force=forced)  # noqa: E731
        if self.does(actor, Verb.DELETE, (workspace,), deed):
            assert force or not used, f"{path} was deleted although {used} in production use it"

    @precondition(lambda self: self.remains())
    @rule(actor=actors, pick=picks)
    def restore(self, actor: str, pick: int) -> None:
        remains = self.remains()
        path = remains[pick % len(remains)]
        workspace = path.partition("/")[0]
        if self.does(actor, Verb.CREATE, (workspace,), lambda by: self.store.tombstones.restore(path, by)):
            assert not self.lost(path), "a restored source left who used it behind"

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks, env=envs)
    def share(self, actor: str, pick: int, env: str) -> None:
        workspace, name = self.picked(pick)
        other = WORKSPACES[1 - WORKSPACES.index(workspace)]
        deed = lambda by: self.store.sharing.share(workspace, name, by, to=other, env=env)  # noqa: E731
        if self.does(actor, Verb.SHARE, (workspace,), deed):
            assert self.may(actor, Verb.SHARE, other)

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks)
    def revoke(self, actor: str, pick: int) -> None:
        workspace, name = self.picked(pick)
        other = WORKSPACES[1 - WORKSPACES.index(workspace)]
        self.does(actor, Verb.SHARE, (workspace,), lambda by: self.store.sharing.revoke(workspace, name, by, to=other))

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks)
    def give_up(self, actor: str, pick: int) -> None:
        workspace, name = self.picked(pick)
        other = WORKSPACES[1 - WORKSPACES.index(workspace)]
        deed = lambda by: self.store.sharing.give_up(other, f"{workspace}.{name}", by)  # noqa: E731
        self.does(actor, Verb.SHARE, (other,), deed)

    @rule(actor=actors, workspace=places, source=st.sampled_from([*NAMES, "retail.orders", "sales.bills"]), env=envs)
    def depend(self, actor: str, workspace: str, source: str, env: str) -> None:
        place = Place(f"/specs/{workspace}-{source}-{env}.json", "/datasource/name")
        found = FoundDependent(
            place.unit,
            place.unit,
            "daily",
            "data_studio",
            (FoundReference(source, role="reader", places=(place,)),),
            env=env,
        )
        deed = lambda by: self.store.dependents.record(workspace, "flowspec", [found], [place.unit], by)  # noqa: E731
        self.does(actor, Verb.USE, (workspace,), deed)

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks, ends=st.booleans())
    def maintain(self, actor: str, pick: int, ends: bool) -> None:
        workspace, name = self.picked(pick)

        def deed(by: By) -> Any:
            if ends:
                return self.store.maintenances.end(workspace, name, by)
            until = by.at + timedelta(hours=1)
            return self.store.maintenances.begin(workspace, name, by, reason="x", until=until, envs=["prod"])

        self.does(actor, Verb.UPDATE, (workspace,), deed)

    @rule(actor=actors, workspace=places, name=names)
    def attach(self, actor: str, workspace: str, name: str) -> None:
        raw = {"prod": {**fields(password=f"{SECRET}engine"), "database": "d"}}
        draft = compute_resources.draft(workspace, name, "analyticdb_for_postgresql", raw, literals_allowed=True)
        deed = lambda by: self.store.compute_resources.attach(workspace, draft, by)  # noqa: E731
        if self.does(actor, Verb.CREATE, (workspace,), deed):
            self.secrets[f"{workspace}/{name}/prod"] = f"{SECRET}engine"

    @precondition(lambda self: self.paths())
    @rule(actor=actors, pick=picks)
    def detach(self, actor: str, pick: int) -> None:
        workspace, name = self.picked(pick)

        def deed(by: By) -> Any:
            plan = self.store.compute_resources.plan_detach(workspace, name, by, force=[f"{workspace}/{name}"])
            return self.store.deletions.apply(plan.plan.id, by)

        self.does(actor, Verb.DELETE, (workspace,), deed)

    @precondition(lambda self: self.mode() == "basic" and len(self.paths()) > 1)
    @rule(actor=actors)
    def upgrade(self, actor: str) -> None:
        def deed(by: By) -> Any:
            plan = self.store.upgrades.plan("sales", by)
            return self.store.upgrades.apply(plan.id, by, confirmed=True)

        if self.does(actor, Verb.UPGRADE, ("sales",), deed):
            prods = {path: secret for path, secret in self.secrets.items() if path.startswith("sales/")}
            self.secrets |= {path.removesuffix("prod") + "dev": secret for path, secret in prods.items()}

    @precondition(lambda self: self.mode() == "standard")
    @rule(actor=actors)
    def undo_the_upgrade(self, actor: str) -> None:
        self.does(actor, Verb.UPGRADE, ("sales",), lambda by: self.store.upgrades.undo("sales", by))

    # --- what holds -------------------------------------------------------------------------------------------

    def used_in_production(self, path: str) -> int:
        with self.store.database.read() as session:
            prod = (model.Reference.source == path, model.Reference.env == "prod", model.Dependent.env == "prod")
            wanted = select(func.count()).select_from(model.Reference).join(model.Dependent).where(*prod)
            return session.scalar(wanted.where(model.Reference.data_source_id.is_not(None))) or 0

    def lost(self, path: str) -> list[model.Reference]:
        with self.store.database.read() as session:
            nothing = model.Reference.data_source_id.is_(None)
            return [*session.scalars(select(model.Reference).where(model.Reference.source == path, nothing))]

    @invariant()
    def a_reference_means_the_source_that_it_names(self) -> None:
        with self.store.database.read() as session:
            rows = session.execute(
                select(model.Reference.source, model.Workspace.name, model.DataSource.name)
                .join(model.DataSource, model.DataSource.id == model.Reference.data_source_id)
                .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
            )
            assert all(source == f"{workspace}/{name}" for source, workspace, name in rows)

    @invariant()
    def every_secret_is_what_was_set_last(self) -> None:
        bearers = {target.path: target for target in self.store.targets() if target.connection is not None}
        for path, found in zip(bearers, self.store.secrets.resolve([*bearers.values()]), strict=True):
            assert isinstance(found, dict), f"{path}: {found}"
            assert found["password"].get_secret_value() == self.secrets[path]

    @invariant()
    def no_secret_stands_in_clear(self) -> None:
        for file in self.folder.iterdir():
            assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file.name

    @invariant()
    def no_rule_is_broken(self) -> None:
        with self.store.database.read() as session:
            for row in session.scalars(select(model.DataSource)):
                owner = session.get_one(model.Workspace, row.workspace_id)
                sides = {*session.scalars(select(model.Entry.env).where(model.Entry.data_source_id == row.id))}
                assert sides <= ({"prod"} if owner.mode == "basic" else {"dev", "prod"})
                made = select(model.ComputeResource.id).where(model.ComputeResource.data_source_id == row.id)
                assert (session.scalar(made) is not None) == (row.origin == "automatically")

    @invariant()
    def the_audit_tells_every_version_and_every_refusal(self) -> None:
        with self.store.database.read() as session:
            told = select(func.count()).where(model.AuditRecord.action == "refuse")
            assert session.scalar(told) == self.refusals
            rows = session.execute(select(model.DataSource, model.Workspace.name).join(model.Workspace))
            for row, workspace in rows:
                latest = select(func.max(model.AuditRecord.version))
                latest = latest.where(model.AuditRecord.object == f"data_source:{workspace}/{row.name}")
                assert (session.scalar(latest) or 0) >= row.version, f"{workspace}/{row.name} at {row.version}"


def test_lives_of_data_sources(sqlite_template: Path) -> None:
    Lives.empty = sqlite_template
    assert {access.role(role) for role in ROLES.values()} <= {*Role}
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Lives,
        settings=settings(max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=[*HealthCheck]),
    )
