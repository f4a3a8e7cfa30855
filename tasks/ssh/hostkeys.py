"""Host keys: what a server shows, and what is known about it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from registry.hostkeys import AUTHORITY, HostKey, read


@dataclass(frozen=True)
class KnownKeys:
    """What is known about one server: the keys it may show, those it must not, and where that stands."""

    trusted: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    where: str = ""
    #: Keys that vouch for hosts by their signature.
    authorities: tuple[HostKey, ...] = ()


def given_keys(text: str, where: str) -> KnownKeys:
    """The keys of a configuration value, as `registry.hostkeys.read` takes it. Raises `ValueError`."""
    trusted, authorities = read(text)
    return KnownKeys(trusted, where=where, authorities=authorities)


def known_keys(host: str, port: int, files: Iterable[Path] | None = None) -> KnownKeys:
    """What known_hosts files say about a server (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"); unreadable lines are skipped.

    Args:
        files: By default those that ssh reads: the user's and the machine's.
    """
    name = host if port == 22 else f"[{host}]:{port}"
    trusted, revoked, authorities, places = list[HostKey](), list[HostKey](), list[HostKey](), list[str]()
    for file in files if files is not None else (Path.home() / ".ssh/known_hosts", Path("/etc/ssh/ssh_known_hosts")):
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        for marker, key in _entries(text, name):
            if marker == "@revoked":
                revoked.append(key)
            elif marker == AUTHORITY:
                authorities.append(key)
            elif not marker:
                trusted.append(key)
                places.append(str(file))
    where = ", ".join(dict.fromkeys(places))
    return KnownKeys(tuple(trusted), tuple(revoked), where, tuple(authorities))


def _entries(text: str, name: str) -> Iterable[tuple[str, HostKey]]:
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if len(words) < 2 or line.lstrip().startswith("#"):
            continue
        marker = words[0] if words[0].startswith("@") else ""
        names, _, key = (words[1] if marker else line.strip()).partition(" ")
        if _names(names, name):
            with contextlib.suppress(ValueError):
                yield marker, HostKey.parse(key)


def _names(patterns: str, name: str) -> bool:
    """Whether the first field of a known_hosts line means this server."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            found = found or _is_hash_of(pattern, name)
        elif pattern.startswith("!"):
            if _matches(pattern[1:], name):
                return False
        else:
            found = found or _matches(pattern, name)
    return found


def _matches(pattern: str, name: str) -> bool:
    # ssh knows * and ? only; brackets stand for themselves around a name with a port.
    return fnmatch.fnmatchcase(name.lower(), re.sub(r"\[", "[[]", pattern.lower()))


def _is_hash_of(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)
