"""What pipelines use: `from tasks import connect`, then `connect("orders")`.

A pipeline names a data source and nothing else: the environment comes from the run, the account and its password from
the registry, and who used what is known to whoever wants to move or delete a source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from registry.store import Store, open_store
from registry.usage import TaskKind
from tasks import references
from tasks.connecting import clients, running
from tasks.connecting.detailing import Details
from tasks.connecting.granting import Grant, Wish, grant, note
from tasks.connecting.refusals import InMaintenance, NotConnectable, NotUsable

__all__ = ["Details", "InMaintenance", "NotConnectable", "NotUsable", "aconnect", "connect", "details"]


def connect(
    source: str,
    *,
    env: str | None = None,
    workspace: str | None = None,
    role: str = "",
    task_kind: str = TaskKind.FLOW,
    only_connectable: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """A client of a data source: a SQLAlchemy engine, or the client of its protocol.

    PostgreSQL, MySQL, Oracle, SQL Server and what speaks their protocols give a `sqlalchemy.Engine`; Redis a
    `redis.Redis`; FTP an open `ftplib.FTP`; SFTP an open `paramiko.SFTPClient`; HTTP an `httpx.Client`.

    Args:
        source: `orders`, `retail/orders`, or `retail.orders` of another workspace that shares it.
        env: dev or prod; None: of the run, by its deployment's tag `env:NAME`, its parameter `env`, its work pool
            (`NAME-dev`, `NAME-prod`), or the variable `HEADWATER_ENV`.
        workspace: Where the run belongs; None: the deployment's tag `workspace:NAME`, or `HEADWATER_WORKSPACE`.
        role: reader or writer, where the run does one alone.
        task_kind: The kind of work; only synchronization may use sources of other regions and accounts, for example.
        only_connectable: Refuse at once when the last check from this resource group did not end well.
        options: Keywords of the client, such as `{"pool_size": 2}`; where it goes to and how is the entry's alone.

    Raises:
        NotUsable: A rule of use forbids it; says which and what to do.
        InMaintenance: The source is being worked on; says why and until when.
        NotConnectable: The last check failed; says how, when and what to do.
        Forbidden: No role or sharing rule allows it.
        NotFound: No such source; the nearest are named.
        InvalidInput: The environment or the workspace is not clear, no such role or kind of work, or there is no client
            for its protocol, or its driver cannot do what the entry asks for.
        SecretUnresolved: One of its secrets can't be had.
    """
    wish = Wish(source, env, workspace, role, task_kind, only_connectable)
    with open_store() as store:
        granted, found = _details(store, wish)
        client = clients.open(found, options)
        note(store, granted)
    return client


async def aconnect(
    source: str,
    *,
    env: str | None = None,
    workspace: str | None = None,
    role: str = "",
    task_kind: str = TaskKind.FLOW,
    only_connectable: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """As `connect`, for asynchronous code: an `AsyncEngine`, a `redis.asyncio.Redis`, an `httpx.AsyncClient`.

    Raises:
        InvalidInput: As `connect`, and for FTP and SFTP, which have no asynchronous client here.
    """
    wish = Wish(source, env, workspace, role, task_kind, only_connectable)
    run = running.current()

    def prepared() -> Details:
        with open_store() as store:
            granted, found = _details(store, wish, run)
            clients.expect_asynchronous(found)
            note(store, granted)
        return found

    return clients.open_asynchronous(await asyncio.to_thread(prepared), options)


def details(
    source: str,
    *,
    env: str | None = None,
    workspace: str | None = None,
    role: str = "",
    task_kind: str = TaskKind.FLOW,
    only_connectable: bool = False,
) -> Details:
    """What `connect` connects with, for a client of your own. Held against the same rules; raises as `connect`."""
    wish = Wish(source, env, workspace, role, task_kind, only_connectable)
    with open_store() as store:
        granted, found = _details(store, wish)
        note(store, granted)
    return found


def _details(store: Store, wish: Wish, run: running.Run | None = None) -> tuple[Grant, Details]:
    references.install()
    granted = grant(store, wish, run or running.current())
    resolved = store.resolve_secrets(granted)
    found = Details(
        f"{granted.owner}/{granted.name}", granted.side, granted.type, granted.protocol, granted.connection, resolved
    )
    return granted, found
