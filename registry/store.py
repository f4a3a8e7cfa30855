"""An open registry: everything that is known, by topic.

with open_store() as store:
    store.sources.list(workspace="retail")
    targets = store.targets(workspace="retail", env="prod")
    secrets = store.secrets.resolve(targets)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from registry import access, audit, home, model, shared, workspaces
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import InvalidInput, SecretUnresolved

if TYPE_CHECKING:
    from registry.certificate_files import CertificateFiles
    from registry.compute_resources import ComputeResources
    from registry.deletion import Deletions
    from registry.dependents import Dependents
    from registry.groups import Groups
    from registry.maintenance import Maintenances
    from registry.members import Members
    from registry.plans import Plans
    from registry.secrets import Bearer, Resolved, Secrets
    from registry.sharing import Sharing
    from registry.sources import Sources
    from registry.targets import CheckTarget, Environment
    from registry.tokens import Tokens
    from registry.tombstones import Tombstones
    from registry.upgrade import Upgrades
    from registry.verdicts import Verdicts
    from registry.workspaces import Workspaces


class Store:
    """One open registry. Every change is one transaction with its audit record; use as a context manager.

    A topic is imported when it is asked for: a command waits for no more than it works with.
    """

    def __init__(self, database: Database, keyring: Path) -> None:
        self.database = database
        self._keyring = keyring

    @cached_property
    def secrets(self) -> Secrets:
        from registry.secrets import Secrets

        return Secrets(self.database, self._keyring)

    @cached_property
    def certificate_files(self) -> CertificateFiles:
        from registry.certificate_files import CertificateFiles

        return CertificateFiles(self.database, self.secrets)

    @cached_property
    def workspaces(self) -> Workspaces:
        from registry.workspaces import Workspaces

        return Workspaces(self.database)

    @cached_property
    def groups(self) -> Groups:
        from registry.groups import Groups

        return Groups(self.database)

    @cached_property
    def sources(self) -> Sources:
        from registry.sources import Sources

        return Sources(self.database, self.secrets)

    @cached_property
    def verdicts(self) -> Verdicts:
        from registry.verdicts import Verdicts

        return Verdicts(self.database)

    @cached_property
    def plans(self) -> Plans:
        from registry.plans import Plans

        return Plans(self.database)

    @cached_property
    def deletions(self) -> Deletions:
        from registry.deletion import Deletions

        return Deletions(self.database, self.plans)

    @cached_property
    def tombstones(self) -> Tombstones:
        from registry.tombstones import Tombstones

        return Tombstones(self.database)

    @cached_property
    def upgrades(self) -> Upgrades:
        from registry.upgrade import Upgrades

        return Upgrades(self.database, self.secrets, self.plans)

    @cached_property
    def sharing(self) -> Sharing:
        from registry.sharing import Sharing

        return Sharing(self.database)

    @cached_property
    def compute_resources(self) -> ComputeResources:
        from registry.compute_resources import ComputeResources

        return ComputeResources(self.database, self.secrets, self.deletions)

    @cached_property
    def dependents(self) -> Dependents:
        from registry.dependents import Dependents

        return Dependents(self.database)

    @cached_property
    def tokens(self) -> Tokens:
        from registry.tokens import Tokens

        return Tokens(self.database)

    @cached_property
    def members(self) -> Members:
        from registry.members import Members

        return Members(self.database)

    @cached_property
    def maintenances(self) -> Maintenances:
        from registry.maintenance import Maintenances

        return Maintenances(self.database)

    def by(self, why: str = "") -> By:
        """A change by the acting user, now: the user of `HEADWATER_TOKEN`; without one whoever `HEADWATER_ACTOR` names,
        by default the user of the operating system.

        Raises:
            InvalidInput: The token counts no more; or there is none, and the registry is one that asks for it.
        """
        token = home.token()
        if token is not None:
            return By(self.tokens.user_of(token), why)
        if not self.database.is_local and self.tokens.any():
            raise InvalidInput(
                "this registry is shared, and believes tokens alone",
                where="HEADWATER_TOKEN",
                instruction="export HEADWATER_TOKEN=..., as `headwater token create` printed it",
            )
        return By(home.actor(), why, owns_registry=self.database.is_local and home.acts_as_itself())

    def expect(self, verb: Verb, *names: str) -> None:
        """Let whoever acts look at workspaces, if a role allows it. Changes are held against roles where they are made.

        Raises:
            Forbidden: No role allows it in one of them.
            NotFound: No such workspace.
        """
        by = self.by()
        with self.database.read() as session:
            for name in names:
                access.require(session, by, verb, workspaces.find(session, name))

    def visible(self, verb: Verb) -> Sequence[str] | None:
        """The workspaces that a role of whoever acts lets him look at; None: all of them."""
        by = self.by()
        with self.database.read() as session:
            known = session.scalars(select(model.Workspace)).all()
            found = [one.name for one in known if access.allowed(session, by, verb, one)]
        return None if len(found) == len(known) else found

    def targets(
        self,
        *,
        workspace: str | None = None,
        source: str | None = None,
        env: Environment | None = None,
        group: str | None = None,
    ) -> list[CheckTarget]:
        """Every source x environment x bound resource group to check; see `registry.targets.targets`."""
        from registry.targets import targets

        user = self.by().actor if source is not None and shared.is_shared(source) else ""
        with self.database.read() as session:
            return targets(session, workspace=workspace, source=source, env=env, group=group, user=user)

    def resolve_secrets(self, target: Bearer) -> Resolved:
        """The values of one target's secrets, by field. Many at once: `secrets.resolve`.

        Raises:
            SecretUnresolved: One of them can't be had; says which and why, never a value.
        """
        found = self.secrets.resolve([target])[0]
        if isinstance(found, SecretUnresolved):
            raise found
        return found

    def history(self, object_: str, *, limit: int = 100) -> list[model.AuditRecord]:
        """The audit of one thing (`data_source:retail/orders`, `entry:retail/orders/prod`, ...), oldest first."""
        with self.database.read() as session:
            return audit.history(session, object_, limit=limit)

    def close(self) -> None:
        """Give every connection back."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(folder: Path | None = None) -> Store:
    """Open the registry of a home, and bring it to this version of Headwater.

    Args:
        folder: The home; by default `HEADWATER_HOME`, else `~/.headwater`.

    Raises:
        RegistryUnavailable: It can't be opened; says why and what to do.
        InvalidInput: `HEADWATER_DATABASE_URL` is no URL of a database.
    """
    folder = folder or home.home()
    database = Database(home.database_url(folder))
    try:
        database.prepare()
    except BaseException:
        database.close()
        raise
    return Store(database, home.keyring_path(folder))
