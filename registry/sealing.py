"""Boxes: what only one resource group's worker can read, and only from a registry that it trusts.

A box is sealed with the registry's private key to the worker's public key (NaCl's `crypto_box`: X25519, XSalsa20,
Poly1305), so a box that somebody else made, or changed, does not open. It bears the group it is for, the time from when
until when it may be opened, and an id that lets it be opened once. Each side keeps its private key to itself, in a file
of its home (`HEADWATER_HOME`). A worker without a key takes open letters, which hold no secrets; one with a key takes
none.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from registry import home
from registry.errors import HeadwaterError, InvalidInput, RegistryUnavailable

_VERSION = "hwbox1"
_KEY_BYTES = 32
_WORKER_KEY = "worker.key"
#: Seconds that the clocks of two machines may differ.
SKEW = 300.0
#: Seconds to wait for other processes that note the ids of their boxes.
_PATIENCE = 10.0

Side = Literal["worker", "registry"]


class BoxRefused(HeadwaterError):
    """A box that must not be opened here. `why` is one of the words that the causes of `PROBE.AGENT_DOWN` know."""

    def __init__(self, why: str, reason: str) -> None:
        self.why = why
        super().__init__(reason)


# --- keys -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyPair:
    """The key pair of one side. The private half shows in no repr."""

    side: Side
    private: bytes

    def __repr__(self) -> str:
        return f"KeyPair({self.public})"

    @property
    def public(self) -> str:
        """The public key as people copy it: `hw-worker-...` or `hw-registry-...`."""
        from nacl.public import PrivateKey

        return f"hw-{self.side}-{_text(bytes(PrivateKey(self.private).public_key))}"


def public_key(text: str, side: Side) -> bytes:
    """The key that a person pasted.

    Raises:
        InvalidInput: It is no key, or that of the other side.
    """
    prefix = f"hw-{side}-"
    other = "registry" if side == "worker" else "worker"
    if text.startswith(f"hw-{other}-"):
        raise InvalidInput(
            f"this is the public key of the {other}, not of the {side}",
            where="key",
            instruction=_WHERE_FROM[side],
        )
    raw = _bytes(text.strip().removeprefix(prefix)) if text.strip().startswith(prefix) else None
    if raw is None or len(raw) != _KEY_BYTES:
        raise InvalidInput(
            f"this is no public key of a {side}: it begins with {prefix} and has 43 more characters",
            where="key",
            instruction=_WHERE_FROM[side],
        )
    return raw


_WHERE_FROM: Mapping[Side, str] = {
    "worker": "print it on the worker's machine: headwater group keygen",
    "registry": "print it where the registry is: headwater group show NAME",
}


def registry_keys() -> KeyPair:
    """The registry's own key pair, beside its keyring; made on first use.

    Raises:
        RegistryUnavailable: The file cannot be read or made.
    """
    return _keys("registry", home.keyring_path(home.home()).with_name("sealing.key"), make=True)


def worker_keys(*, make: bool = False) -> KeyPair:
    """The key pair of the worker on this machine, in its home.

    Raises:
        BoxRefused: There is none.
        RegistryUnavailable: The file cannot be read or made.
    """
    return _keys("worker", home.home() / _WORKER_KEY, make=make)


def _keys(side: Side, path: Path, *, make: bool) -> KeyPair:
    if make and not path.exists():
        _make(path)
    try:
        raw = _bytes(path.read_text().strip())
    except FileNotFoundError:
        raise BoxRefused("keyless", f"there is no key at {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryUnavailable(f"the key {path} cannot be read: {error}") from None
    if raw is None or len(raw) != _KEY_BYTES:
        raise RegistryUnavailable(
            f"the key {path} is damaged", instruction="remove the file, make a new key, and register it again"
        )
    return KeyPair(side, raw)


def _make(path: Path) -> None:
    """Whole or not at all, and the first of two that try at once wins."""
    from nacl.public import PrivateKey

    home.ensure(path.parent)
    beside = _written_beside(path, _text(bytes(PrivateKey.generate())) + "\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def _written_beside(path: Path, content: str) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error
    return beside


def _unwritable(path: Path, error: OSError) -> RegistryUnavailable:
    return RegistryUnavailable(
        f"{path} cannot be written: {error.strerror}",
        instruction="set HEADWATER_HOME to a folder that you may write to",
    )


# --- trust ----------------------------------------------------------------------------------------------------------


def trusted() -> dict[str, list[str]]:
    """Group -> public keys of the registries whose boxes for it are opened on this machine.

    Raises:
        RegistryUnavailable: The list cannot be read.
    """
    path = _trust_path()
    try:
        content = json.loads(path.read_text())
        return {str(group): [str(key) for key in keys] for group, keys in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RegistryUnavailable(
            f"{path} cannot be read: {type(error).__name__}", instruction="remove it and trust the registry again"
        ) from None


def trust(group: str, registry: str, *, alone: bool = True) -> None:
    """Open boxes of this registry for this group from now on.

    Args:
        registry: The registry's public key.
        alone: In the place of every registry trusted for the group before.

    Raises:
        InvalidInput: It is no public key of a registry.
        RegistryUnavailable: The list cannot be read or written.
    """
    public_key(registry, "registry")
    path, known = _trust_path(), trusted()
    known[group] = sorted({registry.strip(), *([] if alone else known.get(group, []))})
    home.ensure(path.parent)
    _written_beside(path, json.dumps(known, indent=1) + "\n").replace(path)


def _trust_path() -> Path:
    return home.home() / "trusted.json"


# --- boxes ----------------------------------------------------------------------------------------------------------


class _Inner(BaseModel):
    """What a box holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    id: str
    group: str
    issued: float
    expires: float
    content: dict[str, Any]


def seal(
    content: Mapping[str, Any], *, group: str, worker: str, keys: KeyPair, lifetime: float, now: float | None = None
) -> str:
    """A box for one group's worker.

    Args:
        content: JSON.
        worker: The worker's public key.
        keys: The registry's own.
        lifetime: Seconds for which it may be opened.
        now: The time, in seconds since 1970.

    Raises:
        InvalidInput: `worker` is no public key.
    """
    from nacl.public import Box, PrivateKey, PublicKey

    box = Box(PrivateKey(keys.private), PublicKey(public_key(worker, "worker")))
    sealed = bytes(box.encrypt(letter(content, group=group, lifetime=lifetime, now=now).encode()))
    return ".".join((_VERSION, _tail(worker), _tail(keys.public), _text(sealed)))


def letter(content: Mapping[str, Any], *, group: str, lifetime: float, now: float | None = None) -> str:
    """What a box holds, for all to read: for a worker without a key. Arguments as in `seal`."""
    issued = time.time() if now is None else now
    stamp = {"id": secrets.token_hex(16), "group": group, "issued": issued, "expires": issued + lifetime}
    return json.dumps({**stamp, "content": content})


def receive(text: str, *, group: str, now: float | None = None) -> dict[str, Any]:
    """The content of a box or a letter, on the worker's side, once.

    Args:
        group: The group that this worker acts for.
        now: The time, in seconds since 1970.

    Raises:
        BoxRefused: With the reason.
        RegistryUnavailable: The worker's home cannot be used.
    """
    inner = _opened(text, group) if text.startswith(f"{_VERSION}.") else _read(text)
    _admit(inner, group, time.time() if now is None else now)
    return inner.content


def _read(text: str) -> _Inner:
    """An open letter, where there is no key that a box could have been sealed to."""
    if (home.home() / _WORKER_KEY).exists():
        raise BoxRefused("unsealed", "this worker has a key and takes sealed boxes only")
    return _inner(text)


def _inner(text: str | bytes) -> _Inner:
    try:
        return _Inner(**json.loads(text))
    except (ValueError, TypeError):
        raise BoxRefused("tampered", "this is no box, or what is left of one") from None


def _opened(text: str, group: str) -> _Inner:
    """The inside of a box that a trusted registry sealed to this worker."""
    from nacl.exceptions import CryptoError
    from nacl.public import Box, PrivateKey, PublicKey

    keys, registries = worker_keys(), trusted().get(group, [])
    version, _, rest = text.partition(".")
    worker, _, rest = rest.partition(".")
    registry, _, body = rest.partition(".")
    sealed = _bytes(body)
    if version != _VERSION or not sealed:
        raise BoxRefused("tampered", "this is no box, or what is left of one")
    if not registries:
        raise BoxRefused("untrusting", f"no registry is trusted here for the group {group}")
    if f"hw-registry-{registry}" not in registries:
        raise BoxRefused("foreign", f"the registry that sealed this box is not trusted for the group {group}")
    if worker != _tail(keys.public):
        raise BoxRefused("other-key", "the box is sealed to another public key than this worker's")
    sender = PublicKey(public_key(f"hw-registry-{registry}", "registry"))
    try:
        return _inner(Box(PrivateKey(keys.private), sender).decrypt(sealed))
    except (CryptoError, ValueError):
        raise BoxRefused("tampered", "the box was changed, or somebody else made it") from None


def _admit(inner: _Inner, group: str, now: float) -> None:
    """Let a box in that is for this group, now, and for the first time."""
    if inner.group != group:
        raise BoxRefused("other-group", f"the box is for another resource group than {group}")
    if now > inner.expires + SKEW:
        raise BoxRefused("expired", f"the box expired {now - inner.expires:.0f} s ago")
    if now < inner.issued - SKEW:
        raise BoxRefused("early", f"the box was sealed {inner.issued - now:.0f} s in the future")
    if not _first_time(inner.id, until=inner.expires + 2 * SKEW, now=now):
        raise BoxRefused("replayed", "the box was opened before")


def _first_time(box: str, *, until: float, now: float) -> bool:
    """Note the id of a box; false when it is noted already. Several processes may ask at once."""
    path = home.ensure(home.home()) / "boxes.db"
    try:
        home.touch(path)
        with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS opened (id TEXT PRIMARY KEY, until REAL) WITHOUT ROWID")
            database.execute("DELETE FROM opened WHERE until < ?", (now,))
            noted = database.execute("INSERT OR IGNORE INTO opened VALUES (?, ?)", (box, until))
            return noted.rowcount == 1
    except sqlite3.Error as error:
        raise RegistryUnavailable(
            f"{path} cannot be used: {error}", instruction="set HEADWATER_HOME to a folder that the worker may write to"
        ) from None


# --- text -----------------------------------------------------------------------------------------------------------


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes | None:
    """The bytes of a text in its one spelling: base64 has several of most."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if _text(raw) == text else None


def _tail(key: str) -> str:
    """A public key without the word that says whose it is."""
    return key.strip().split("-", 2)[2]
