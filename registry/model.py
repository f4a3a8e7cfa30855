"""What the registry remembers: one class a table.

The words are DataWorks' (OpenAPI 2024-05-18): a workspace binds resource groups and owns data sources; a data source
has one entry an environment. Rows that people change carry a `version` that grows by one with each change. No secret
stands in any column but `Secret.ciphertext`.
"""

# Without `from __future__ import annotations`: SQLAlchemy would read each of these 200 annotations from its text, a
# third of the time that loading this module takes.
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

ENVIRONMENTS = ("dev", "prod")
WORKSPACE_MODES = ("basic", "standard")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always in UTC and always aware; SQLite forgets the zone and is told it again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that a migration can drop what another one made."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(none_as_null=True),
        dict[str, str]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON(none_as_null=True),
        str: String(255),
        float: Float(),
    }


class Tracked:
    """Who made a row and who changed it last. `version` starts at 1."""

    version: Mapped[int] = mapped_column(default=1)
    creator: Mapped[str]
    created_at: Mapped[datetime]
    modifier: Mapped[str]
    modified_at: Mapped[datetime]


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=column)


class Workspace(Tracked, Base):
    """A workspace: basic (prod only) or standard (dev and prod)."""

    __tablename__ = "workspace"
    __table_args__ = (UniqueConstraint("name"), _one_of("mode", WORKSPACE_MODES))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    mode: Mapped[str] = mapped_column(String(16))
    description: Mapped[str] = mapped_column(Text, default="")
    #: CIDRs that tests may be aimed at; empty means the default policy.
    permitted_ranges: Mapped[list[str]] = mapped_column(default=list)


class Member(Base):
    """One role of one user in one workspace; a user may hold several."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("workspace_id", "user", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    user: Mapped[str]
    role: Mapped[str] = mapped_column(String(64))


class TenantMember(Base):
    """A role that counts in every workspace."""

    __tablename__ = "tenant_member"

    user: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True)


class Token(Base):
    """What proves who acts; only its digest is kept."""

    __tablename__ = "token"
    __table_args__ = (UniqueConstraint("digest"), UniqueConstraint("user", "name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user: Mapped[str]
    name: Mapped[str]
    #: SHA-256 of the token, which is 32 random bytes.
    digest: Mapped[str] = mapped_column(String(64))
    creator: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ResourceGroup(Tracked, Base):
    """A place that tests and tasks run from; `settings` are those of its kind."""

    __tablename__ = "resource_group"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(String(32))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: What its operator declares about its network: type, vSwitch CIDRs, NAT addresses.
    network: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Boxes sealed to this key can be opened by the group alone.
    public_key: Mapped[str | None] = mapped_column(Text)


class Binding(Base):
    """A resource group that a workspace may use."""

    __tablename__ = "binding"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True)
    resource_group_id: Mapped[int] = mapped_column(
        ForeignKey("resource_group.id", ondelete="RESTRICT"), primary_key=True, index=True
    )


class DataSource(Tracked, Base):
    """A named data source of a workspace; name and type never change."""

    __tablename__ = "data_source"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "type", "name"),
        Index(None, "name", "id"),
        Index(None, "created_at", "id"),
        Index(None, "type", "name"),
        _one_of("origin", ("manually", "automatically")),
        _one_of("visibility", ("everywhere", "data_integration")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="RESTRICT"))
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16), default="standard")
    origin: Mapped[str] = mapped_column(String(16), default="manually")
    #: Sources made in Data Integration are seen there alone until their dev entry is completed.
    visibility: Mapped[str] = mapped_column(String(16), default="everywhere")
    description: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[str]] = mapped_column(default=list)
    #: URL parameters that this source keeps although the allow-list of its protocol removes them.
    permits: Mapped[list[str]] = mapped_column(default=list)
    #: None, or why no new run may use it, until when, in which environments (`registry.maintenance`).
    maintenance: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    #: Of a copy that another workspace sees (`registry.shared`): the workspace that shares it; empty: its own.
    shared_by = ""

    workspace: Mapped[Workspace] = relationship(lazy="raise")
    entries: Mapped[list["Entry"]] = relationship(lazy="raise", order_by="Entry.env", passive_deletes=True)

    @property
    def path(self) -> str:
        """`workspace/name`."""
        return f"{self.workspace.name}/{self.name}"

    def entry(self, env: str) -> "Entry | None":
        """The configuration for one environment, if there is one."""
        return next((entry for entry in self.entries if entry.env == env), None)


class Entry(Tracked, Base):
    """The configuration of a data source in one environment."""

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("data_source_id", "env"), _one_of("env", ENVIRONMENTS))

    id: Mapped[int] = mapped_column(primary_key=True)
    data_source_id: Mapped[int] = mapped_column(ForeignKey("data_source.id", ondelete="CASCADE"))
    env: Mapped[str] = mapped_column(String(8))
    mode: Mapped[str] = mapped_column(String(32))
    #: The fields of the connection, but for those that hold secrets.
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Field -> reference (`env:NAME`, `stored:ID`, ...), never a value.
    references: Mapped[dict[str, str]] = mapped_column("secret_references", default=dict)
    #: URL parameters that were removed when the entry was written last -> why. No part of the configuration: it says
    #: what the text has that the entry has not.
    removed: Mapped[dict[str, str]] = mapped_column(default=dict, server_default="{}")


class Secret(Base):
    """One encrypted secret; what it is bound to is encrypted with it."""

    __tablename__ = "secret"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id", ondelete="CASCADE"), index=True)
    field: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16), index=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class CertificateFile(Base):
    """An uploaded certificate, keystore, keytab or key that entries refer to by its id (`certificate:ID`)."""

    __tablename__ = "certificate_file"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="RESTRICT"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(Text, default="")
    #: Bytes of the file.
    size: Mapped[int]
    #: SHA-256 of the file.
    digest: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16), index=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    creator: Mapped[str]
    created_at: Mapped[datetime]


class Tombstone(Base):
    """A deleted data source, or a deleted side of one, that can be brought back."""

    __tablename__ = "tombstone"
    __table_args__ = (Index(None, "workspace_id", "name"), Index(None, "expires_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    name: Mapped[str]
    #: The environments that were deleted.
    envs: Mapped[list[str]]
    #: Everything it takes to restore it but its secrets.
    document: Mapped[dict[str, Any]]
    creator: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    why: Mapped[str] = mapped_column(Text, default="")


class BuriedSecret(Base):
    """A stored secret of a deleted entry, as it was encrypted."""

    __tablename__ = "buried_secret"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tombstone_id: Mapped[str] = mapped_column(ForeignKey("tombstone.id", ondelete="CASCADE"), index=True)
    env: Mapped[str] = mapped_column(String(8))
    field: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16), index=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class OneVerdict:
    """What is kept of a verdict in columns; `document` is the whole of it as JSON."""

    env: Mapped[str] = mapped_column(String(8))
    resource_group: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime]
    elapsed_ms: Mapped[float]
    document: Mapped[str] = mapped_column(Text)


class BuriedVerdict(OneVerdict, Base):
    """A verdict over a deleted entry."""

    __tablename__ = "buried_verdict"

    id: Mapped[int] = mapped_column(primary_key=True)
    tombstone_id: Mapped[str] = mapped_column(ForeignKey("tombstone.id", ondelete="CASCADE"), index=True)
    #: Of the newest one of its side and group: since when it had been so. None: an older one.
    since: Mapped[datetime | None]


class ComputeResource(Tracked, Base):
    """An engine attached to a workspace; attaching may create a data source of the same name."""

    __tablename__ = "compute_resource"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(64))
    is_default: Mapped[bool] = mapped_column(default=False)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    data_source_id: Mapped[int | None] = mapped_column(ForeignKey("data_source.id", ondelete="RESTRICT"), index=True)


class SharingRule(Base):
    """An entry that another workspace (or one user of it) may use."""

    __tablename__ = "sharing_rule"
    __table_args__ = (
        UniqueConstraint("entry_id", "target_workspace_id", "env", "user"),
        _one_of("env", ENVIRONMENTS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id", ondelete="RESTRICT"))
    target_workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    #: The environment of the target workspace in which the entry is seen.
    env: Mapped[str] = mapped_column(String(8))
    #: Empty: everybody in the target workspace.
    user: Mapped[str] = mapped_column(default="")
    creator: Mapped[str]
    created_at: Mapped[datetime]


class Dependent(Base):
    """Something that uses data sources: a node, a synchronization task, a deployment, an API, a rule, a query."""

    __tablename__ = "dependent"
    __table_args__ = (
        UniqueConstraint("adapter", "key"),
        Index(None, "workspace_id", "module", "env"),
        _one_of("env", ENVIRONMENTS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"))
    #: The module of `tasks.dependents` that finds and rewrites it.
    adapter: Mapped[str] = mapped_column(String(32))
    #: What the adapter knows it by, for ever: `specs/orders.json#8204310273201954362`, a deployment's id.
    key: Mapped[str] = mapped_column(String(800))
    #: What is rewritten in one go: the file, the deployment. Several dependents may lie in one.
    unit: Mapped[str] = mapped_column(String(800), index=True)
    module: Mapped[str] = mapped_column(String(64))
    #: The kind of its work, which decides the environment it gets (`registry.usage`): batch_sync, sql, api, ...
    task_kind: Mapped[str] = mapped_column(String(64), default="")
    #: Where it runs itself.
    env: Mapped[str] = mapped_column(String(8))
    name: Mapped[str]
    owner: Mapped[str] = mapped_column(default="")
    #: The resource group it runs on; empty: unknown.
    resource_group: Mapped[str] = mapped_column(default="")
    #: Where it can be opened: a path, a URL, a node id.
    location: Mapped[str] = mapped_column(Text, default="")
    #: Who is editing it right now; empty: nobody.
    locked_by: Mapped[str] = mapped_column(default="")
    last_run_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    #: What its adapter wants to remember of it (scalars and lists): a smoke run, tags, a schedule.
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Reference(Base):
    """One use of a data source by a dependent."""

    __tablename__ = "reference"
    __table_args__ = (
        UniqueConstraint("dependent_id", "source", "env", "role"),
        Index(None, "data_source_id", "env", "dependent_id"),
        _one_of("env", ENVIRONMENTS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dependent_id: Mapped[int] = mapped_column(ForeignKey("dependent.id", ondelete="CASCADE"))
    #: None: no such source (any more).
    data_source_id: Mapped[int | None] = mapped_column(ForeignKey("data_source.id", ondelete="SET NULL"))
    #: `workspace/name` of the data source, as it was found.
    source: Mapped[str] = mapped_column(String(520))
    #: The entry that it gets by the usage rules.
    env: Mapped[str] = mapped_column(String(8))
    #: What the dependent does with it: reader, writer, query, rule, api.
    role: Mapped[str] = mapped_column(String(32))
    #: Tables and columns it binds (`orders`, `orders.id`).
    objects: Mapped[list[str]] = mapped_column(default=list)
    #: Where exactly it stands: `{"file": ..., "pointer": ...}`, `{"deployment": ..., "pointer": ...}`.
    places: Mapped[list[dict[str, Any]]] = mapped_column(default=list)


class VerdictRecord(OneVerdict, Base):
    """One verdict of the history."""

    __tablename__ = "verdict"
    __table_args__ = (Index(None, "data_source_id", "env", "resource_group", "id"), Index(None, "started_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    data_source_id: Mapped[int] = mapped_column(ForeignKey("data_source.id", ondelete="CASCADE"))


class Standing(Base):
    """The newest verdict of each source, environment and resource group, and since when it has been so."""

    __tablename__ = "standing"

    data_source_id: Mapped[int] = mapped_column(ForeignKey("data_source.id", ondelete="CASCADE"), primary_key=True)
    env: Mapped[str] = mapped_column(String(8), primary_key=True)
    resource_group: Mapped[str] = mapped_column(primary_key=True)
    verdict_id: Mapped[int] = mapped_column(ForeignKey("verdict.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str | None] = mapped_column(String(64))
    #: When the first verdict of this state and cause in a row began.
    since: Mapped[datetime]


class Plan(Base):
    """A change made ready: stored, hashed, with an expiry and the versions of everything it read."""

    __tablename__ = "plan"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspace.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    #: ready, applying, paused, applied, failed, rolled_back, expired, abandoned.
    state: Mapped[str] = mapped_column(String(16))
    #: Grows with every change of the state: two operators do not apply one plan at once.
    version: Mapped[int] = mapped_column(default=1)
    #: Object -> version that the plan was made from.
    versions: Mapped[dict[str, Any]]
    document: Mapped[dict[str, Any]]
    creator: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    why: Mapped[str] = mapped_column(Text, default="")


class PlanStep(Base):
    """One step of a plan, recorded before and after it is done."""

    __tablename__ = "plan_step"
    __table_args__ = (UniqueConstraint("plan_id", "position"), Index(None, "plan_id", "state"))

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[str] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    position: Mapped[int]
    wave: Mapped[int]
    action: Mapped[dict[str, Any]]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: waiting, running, done, failed, rolled_back, skipped.
    state: Mapped[str] = mapped_column(String(16))
    #: Why it failed or was skipped.
    message: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class AuditRecord(Base):
    """Who did what, when and why. It outlives what it speaks of, so it refers by name."""

    __tablename__ = "audit_record"
    __table_args__ = (Index(None, "object", "id"), Index(None, "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    #: `workspace:retail`, `resource_group:vpc_a`, `data_source:retail/orders`, `entry:retail/orders/dev`.
    object: Mapped[str] = mapped_column(String(800))
    #: The version that this change made; null when the object is gone or has none.
    version: Mapped[int | None]
    why: Mapped[str] = mapped_column(Text, default="")
    #: Only the fields that changed. Secrets stand as references.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
