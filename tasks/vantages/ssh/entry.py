"""Getting in at a hop: whom we trust there, who we are, and what its refusals mean."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import paramiko
from pydantic import SecretStr

from registry.connection.fields import is_reference
from registry.errors import SecretUnresolved
from registry.groups import SshHop
from registry.secrets import resolve_reference
from tasks.evidence import StageFailed
from tasks.ssh import HostKey, KeyUnusable, KnownKeys, SshConnection, certificates, given_keys, known_keys, load_key
from tasks.vantages import VantageFailed

Failure = Callable[..., VantageFailed]

#: Where these keep their values, asking takes a network round trip.
_REMOTE = ("prefect:", "vault:")
_BY_PASSWORD = ("password", "keyboard-interactive")


@dataclass
class Entry:
    """What is needed to get in at one hop. Secrets live as long as the attempt."""

    hop: SshHop
    failure: Failure
    keys: list[tuple[str, paramiko.PKey]] = field(default_factory=list, repr=False)
    password: SecretStr | None = None
    agent: paramiko.Agent | None = None
    known: KnownKeys = field(default_factory=KnownKeys)
    tried: list[str] = field(default_factory=list)

    @classmethod
    async def prepare(cls, hop: SshHop, failure: Failure) -> Entry:
        """Resolve what is configured. Raises `VantageFailed`."""
        entry = cls(hop, failure)
        try:
            await entry._load()
        except BaseException:
            entry.forget()
            raise
        return entry

    async def _load(self) -> None:
        self.known = self._known()
        passphrase = await self._secret("passphrase")
        key = await self._secret("private_key")
        self.password = await self._secret("password")
        if key is not None:
            self.keys.append(("private_key", await self._key(key, passphrase)))
        if self.hop.agent:
            self.agent = await asyncio.to_thread(paramiko.Agent)
            self.keys += [("agent", one) for one in self.agent.get_keys()]
            if not self.keys:
                raise self.failure("agent", agent_socket=os.environ.get("SSH_AUTH_SOCK") or "unset")
        if not self.keys and self.password is None:
            raise self.failure("no_credentials")

    def forget(self) -> None:
        """Let go of every secret."""
        self.keys, self.password = [], None
        if self.agent is not None:
            self.agent.close()

    async def _secret(self, name: str) -> SecretStr | None:
        reference = getattr(self.hop, name)
        if reference is None:
            return None
        try:
            if reference.startswith(_REMOTE):
                return await asyncio.to_thread(resolve_reference, reference)
            return resolve_reference(reference)
        except SecretUnresolved as unresolved:
            raise self._unresolved(name, reference, unresolved) from None

    def _unresolved(self, name: str, reference: str, why: SecretUnresolved) -> VantageFailed:
        where = f"{self.failure('').evidence['hop_settings']}.{name}"
        path = reference.removeprefix("file:")
        instruction = why.instruction or (
            f"ls -l {path} (the user that runs headwater must be able to read it: chmod 600, chown)"
            if reference.startswith("file:")
            else "Correct the reference."
        )
        return self.failure("secret", reason=why.reason, where=where, instruction=instruction)

    async def _key(self, text: SecretStr, passphrase: SecretStr | None) -> paramiko.PKey:
        try:
            # A key under a password is made slow to open, and everybody else would wait.
            key = await asyncio.to_thread(
                load_key, text.get_secret_value(), passphrase.get_secret_value() if passphrase else None
            )
        except KeyUnusable as unusable:
            raise self.failure("key", bad_key=unusable.why) from None
        if self.hop.certificate is not None:
            await self._certify(key, self.hop.certificate)
        return key

    async def _certify(self, key: paramiko.PKey, certificate: str) -> None:
        text = certificate
        if is_reference(certificate):
            secret = await self._secret("certificate")
            assert secret is not None  # noqa: S101 - it is set
            text = secret.get_secret_value()
        problem = certificates.problem_of_user(text, key)
        if problem:
            raise self.failure("certificate", reason=problem)
        key.load_certificate(text.strip())

    # -- whom we trust ----------------------------------------------------------------------------------------------

    def _known(self) -> KnownKeys:
        given = self.hop.host_key
        if given is None:
            return known_keys(self.hop.host, self.hop.port)
        try:
            return given_keys(given, "host_key")
        except ValueError as problem:
            raise self.failure("host_key_value", reason=str(problem)) from None

    async def trust(self, connection: SshConnection) -> None:
        """Agree on keys with a server that shows a host key we know. Raises `VantageFailed`."""
        by_authority = bool(self.known.authorities)
        shown = await connection.exchange_keys([key.kind for key in self.known.trusted], certificate=by_authority)
        if certificates.is_certificate(shown):
            problem = certificates.problem_of_host(shown, self.hop.host, self.known.authorities)
            if problem:
                raise self.failure("host_certificate", reason=problem, host_key_file=_file(shown, "-cert"))
        elif shown not in self.known.trusted or shown in self.known.revoked:
            raise self._distrust(shown)

    def _distrust(self, shown: HostKey) -> VantageFailed:
        hop = self.hop
        name = hop.host if hop.port == 22 else f"[{hop.host}]:{hop.port}"
        evidence: dict[str, Any] = {
            "shown_fingerprint": shown.fingerprint,
            "host_key_line": shown.line,
            "hop_known_as": name,
            "known_hosts_line": f"{name} {shown.line}",
            "host_key_file": _file(shown),
        }
        if shown in self.known.revoked:
            return self.failure("host_key_revoked", **evidence)
        if not self.known.trusted:
            return self.failure("host_key_unknown", **evidence)
        fingerprints = [key.fingerprint for key in self.known.trusted]
        return self.failure(
            "host_key_changed", **evidence, known_fingerprints=fingerprints, known_from=self.known.where
        )

    # -- who we are -------------------------------------------------------------------------------------------------

    async def log_in(self, connection: SshConnection) -> None:
        """Prove who we are, by everything that is configured. Raises `VantageFailed` or what the connection raises."""
        asked: Sequence[str] = ("publickey", *_BY_PASSWORD)
        for label, key in self.keys:
            if "publickey" not in asked:
                break
            left = await self._prove(connection, label, partial(self._by_key, key=key))
            if left is None:
                continue
            asked = left
            if not asked:
                return
        for method in _BY_PASSWORD if self.password is not None else ():
            if method not in asked:
                continue
            left = await self._prove(connection, method, partial(self._by, method=method))
            if left is None:
                continue
            asked = left
            if not asked:
                return
        raise self._refused(asked)

    async def _prove(
        self, connection: SshConnection, label: str, prove: Callable[[paramiko.Transport], Sequence[str]]
    ) -> Sequence[str] | None:
        """What the server wants besides, nothing if it is satisfied; None where it does not accept this."""
        self.tried.append(label)
        try:
            return await connection.authenticate(prove)
        except StageFailed as failed:
            if failed.evidence.get("rejected"):
                return None
            if "allowed_methods" in failed.evidence:
                self.tried.pop()
                return tuple(failed.evidence["allowed_methods"])
            raise

    def _by_key(self, transport: paramiko.Transport, key: paramiko.PKey) -> Sequence[str]:
        return transport.auth_publickey(self.hop.username, key)

    def _by(self, transport: paramiko.Transport, method: str) -> Sequence[str]:
        secret = self.password.get_secret_value() if self.password is not None else ""
        if method == "password":
            return transport.auth_password(self.hop.username, secret, fallback=False)

        def answers(_title: str, _text: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
            return ["" if shown else secret for _, shown in prompts]

        return transport.auth_interactive(self.hop.username, answers)

    def _refused(self, asked: Sequence[str]) -> VantageFailed:
        evidence: dict[str, Any] = {"tried": list(self.tried), "allowed_methods": list(asked)}
        if not self.tried:
            return self.failure("methods", **evidence)
        return self.failure(
            "key_refused" if self.tried[-1] in ("private_key", "agent") else "password_refused", **evidence
        )

    # -- what refusals mean -----------------------------------------------------------------------------------------

    def explain(self, phase: str, evidence: Mapping[str, Any]) -> VantageFailed:
        """The fault behind a conversation that did not come to its end."""
        told = {f"hop_{key}": value for key, value in evidence.items() if value is not None}
        speaks = evidence.get("looks_like") or evidence.get("first_bytes") or evidence.get("server_said")
        return self.failure(
            _kind(phase, evidence), phase=phase, tried=list(self.tried) or None, hop_speaks=speaks, **told
        )


def _kind(phase: str, evidence: Mapping[str, Any]) -> str:
    # OpenSSH refuses in these fixed words before its version line, where the protocol has no code.
    if evidence.get("before_version") in _CROWDED:
        return "startups"
    for key, kind in _KINDS:
        if evidence.get(key):
            return kind
    code, broken = evidence.get("disconnect_code"), evidence.get("broken")
    if code is not None:
        # OpenSSH reports "too many authentication failures" as a protocol error.
        return "too_many_failures" if phase == "login" and code in (2, 14) else "disconnected"
    if broken == "silent":
        return "silent"
    if broken in ("eof", "reset"):
        return "hung_up_after_login" if phase == "login" else "hung_up"
    return "not_ssh"


_CROWDED = ("Exceeded MaxStartups", "Not allowed at this time")
#: What stands in the evidence of `SshConnection` -> the fault.
_KINDS = (
    ("before_version", "not_ssh"),
    ("not_protocol", "not_ssh"),
    ("ssh_version", "version"),
    ("no_common_algorithm", "algorithms"),
)


def _file(shown: HostKey, suffix: str = "") -> str:
    """Where OpenSSH keeps a host key of this kind."""
    kind = "rsa" if "rsa" in shown.kind else "ecdsa" if "ecdsa" in shown.kind else "ed25519"
    return f"/etc/ssh/ssh_host_{kind}_key{suffix}.pub"
