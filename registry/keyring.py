"""The keys that stored secrets are encrypted with: a file outside the database, readable by its owner alone.

The first key encrypts; the others only decrypt, until no secret needs them any more. The file is replaced whole
(written beside, synced, renamed), so a crash leaves the old one or the new one, never half of one.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from registry import home
from registry.errors import RegistryUnavailable

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


@dataclass(frozen=True)
class Key:
    """One key. `id` is public: every secret records the id of the key that it is under."""

    id: str
    material: str

    def __repr__(self) -> str:
        return f"Key({self.id})"


@dataclass(frozen=True)
class Keyring:
    """The keys of one file; the first is the one in use."""

    path: Path
    keys: tuple[Key, ...]

    @property
    def current(self) -> Key:
        """The key that encrypts."""
        return self.keys[0]

    @cached_property
    def cipher(self) -> MultiFernet:
        """Encrypts under the current key, decrypts under any."""
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet([Fernet(key.material) for key in self.keys])

    def with_new_key(self) -> Keyring:
        """The same keyring with a fresh current key; not saved yet."""
        return replace(self, keys=(_fresh(), *self.keys))

    def with_current_only(self) -> Keyring:
        """The same keyring without the keys that only decrypt; not saved yet."""
        return replace(self, keys=self.keys[:1])

    def save(self) -> None:
        """Put this keyring in the place of the file's.

        Raises:
            RegistryUnavailable: The file's folder cannot be written to.
        """
        home.ensure(self.path.parent)
        content = json.dumps({"keys": [{"id": key.id, "key": key.material} for key in self.keys]}, indent=1)
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
            _sync(self.path.parent)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise RegistryUnavailable(
                f"the keyring {self.path} cannot be written: {error.strerror}",
                instruction="make its folder writable for you, or set HEADWATER_KEYRING",
            ) from error


def create(path: Path) -> Keyring:
    """A keyring with one fresh key, saved."""
    ring = Keyring(path, (_fresh(),))
    ring.save()
    return ring


def load(path: Path) -> Keyring:
    """The keyring of this file.

    Raises:
        RegistryUnavailable: The file is gone, unreadable or no keyring.
    """
    advice = "restore the file from a backup or set HEADWATER_KEYRING; without it every stored secret is to be set anew"
    try:
        content = json.loads(path.read_text())
        keys = tuple(Key(str(row["id"]), str(row["key"])) for row in content["keys"])
        ring = Keyring(path, keys)
        ring.cipher  # noqa: B018 - a key that is no key is found now
    except FileNotFoundError as error:
        raise RegistryUnavailable(f"the keyring {path} is gone", instruction=advice) from error
    except OSError as error:
        raise RegistryUnavailable(f"the keyring {path} cannot be read: {error.strerror}", instruction=advice) from error
    except (ValueError, KeyError, TypeError):
        # The cause may quote the file's content.
        raise RegistryUnavailable(f"the keyring {path} is damaged", instruction=advice) from None
    return ring


def _fresh() -> Key:
    from cryptography.fernet import Fernet

    return Key(secrets.token_hex(4), Fernet.generate_key().decode())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
