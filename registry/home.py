"""Where the registry lives (`HEADWATER_HOME`, `HEADWATER_DATABASE_URL`, `HEADWATER_KEYRING`), and who acts."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from registry.errors import RegistryUnavailable


def home() -> Path:
    """`HEADWATER_HOME`, by default `~/.headwater`; it need not exist yet."""
    return Path(os.environ.get("HEADWATER_HOME") or Path("~/.headwater")).expanduser().absolute()


def ensure(folder: Path) -> Path:
    """Make the home, readable by its owner alone (mode 0700).

    Raises:
        RegistryUnavailable: It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryUnavailable(
            f"the home {folder} cannot be made: {error.strerror}",
            instruction="set HEADWATER_HOME to a folder that you may write to",
        ) from error
    return folder


def touch(path: Path) -> None:
    """Make an empty file, readable by its owner alone (mode 0600), unless it exists.

    Raises:
        RegistryUnavailable: It cannot be made.
    """
    if path.exists():
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise RegistryUnavailable(
            f"{path} cannot be made: {error.strerror}",
            instruction="set HEADWATER_HOME to a folder that you may write to",
        ) from error


def database_url(folder: Path) -> str:
    """`HEADWATER_DATABASE_URL`, by default the SQLite file `registry.db` in the home."""
    return os.environ.get("HEADWATER_DATABASE_URL") or f"sqlite:///{folder / 'registry.db'}"


def keyring_path(folder: Path) -> Path:
    """`HEADWATER_KEYRING`, by default `keyring` in the home: never in the database."""
    return Path(os.environ.get("HEADWATER_KEYRING") or folder / "keyring").expanduser().absolute()


def actor() -> str:
    """Who acts: `HEADWATER_ACTOR`, by default the user of the operating system."""
    return os.environ.get("HEADWATER_ACTOR") or _user()


def token() -> str | None:
    """`HEADWATER_TOKEN`: what proves who acts."""
    return os.environ.get("HEADWATER_TOKEN") or None


def acts_as_itself() -> bool:
    """Whether the user of the operating system acts under its own name."""
    return os.environ.get("HEADWATER_ACTOR") in (None, "", _user())


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
