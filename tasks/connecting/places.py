"""Where a connection goes to, and what it trusts there."""

from __future__ import annotations

import asyncio
import os
import ssl
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from registry.connection import Endpoint
from registry.connection.parts import CloudInstance
from tasks.connecting.refusals import NotConnectable
from tasks.evidence import StageFailed
from tasks.tls import TlsMaterial, client_context

if TYPE_CHECKING:
    from tasks.connecting.detailing import Details

#: Seconds that connecting, and asking a cloud for an instance, may take.
PATIENCE = 15.0
_KEY_PASSWORDS = ("client_password", "keystore_password", "key_password")


def endpoints(found: Details) -> tuple[Endpoint, ...]:
    """Hosts and ports, in order of preference; those of an instance are asked of its cloud.

    Raises:
        NotConnectable: The cloud knows no such instance, or does not answer.
    """
    if not isinstance(found.connection, CloudInstance):
        return found.connection.endpoints()
    with ThreadPoolExecutor(1) as pool:  # there may be an event loop here already
        return pool.submit(asyncio.run, _located(found)).result()


async def _located(found: Details) -> tuple[Endpoint, ...]:
    from registry import types
    from tasks import instances
    from tasks.budget import Budget
    from tasks.target import Target
    from tasks.vantages import open_vantage

    workspace, _, name = found.source.partition("/")
    port = types.get(found.type).default_port
    target = Target(workspace, name, found.type, found.env, "local", found.protocol, port, found.connection)
    vantage: Any = open_vantage("local", "local", {})
    try:
        _, places = await instances.find(target, vantage, Budget.of(PATIENCE))
    except StageFailed as failed:
        raise _explained(target, failed) from None
    finally:
        await vantage.close()
    return tuple(Endpoint(host=place.host, port=place.port) for place in places)


def _explained(target: Any, failed: StageFailed) -> NotConnectable:
    from registry.verdict import Stage, Status
    from tasks.diagnosis import explain

    stage = Stage(name="instance", status=Status.FAILED, started_at="", elapsed_ms=0.0, evidence=failed.evidence)
    finding = explain(target, stage, None)
    where = f"entry:{target.workspace}/{target.source}/{target.env}"
    return NotConnectable(f"{finding.code}: {finding.message}", where=where, instruction=finding.remedy)


def material(found: Details) -> TlsMaterial:
    """How TLS is spoken there."""

    def pem(field: str) -> str | None:
        return found.secrets[field].get_secret_value() if field in found.secrets else None

    return TlsMaterial(
        mode=found.connection.tls().mode,
        ca=pem("truststore_file") or pem("ssl_root_certificate_file"),
        certificate=pem("keystore_file"),
        key=found.secrets.get("key_file"),
        key_password=next((found.secrets[name] for name in _KEY_PASSWORDS if name in found.secrets), None),
    )


def context(found: Details, *, preferred: bool = False) -> ssl.SSLContext | None:
    """A TLS context; None where no TLS is asked for.

    Args:
        preferred: Whether there is one also where TLS is taken only if it is offered.

    Raises:
        NotConnectable: A CA, certificate or key cannot be used.
    """
    wanted = material(found)
    if not (wanted.wanted if preferred else wanted.demanded):
        return None
    try:
        with client_context(wanted) as made:
            return made
    except StageFailed as failed:
        field = failed.evidence.get("bad_file", "truststore_file")
        told = f"{field} holds nothing that can be used"
        where = f"entry:{found.source}/{found.env}.{field}"
        raise NotConnectable(told, where=where, instruction="give it a PEM file") from None


class Memory:
    """Files that exist in memory alone, as long as something else does; until it is known what, as long as this."""

    def __init__(self) -> None:
        self._open: list[int] = []
        self._own = weakref.finalize(self, _close, self._open)

    def file(self, text: str) -> str:
        """The path of a file that holds this, for this process and its user alone."""
        number = os.memfd_create("connection")
        self._open.append(number)
        os.write(number, text.encode())
        os.fchmod(number, 0o600)
        return f"/proc/{os.getpid()}/fd/{number}"

    def live_with(self, owner: Any) -> None:
        """Let them go with it."""
        self._own.detach()
        weakref.finalize(owner, _close, self._open)


def _close(numbers: list[int]) -> None:
    for number in numbers:
        os.close(number)
