"""Host keys: what a server shows, and what is known about it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fnmatch
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HostKey:
    """A server's public key: its algorithm and its bytes on the wire."""

    kind: str
    blob: bytes

    @classmethod
    def parse(cls, text: str) -> HostKey:
        """Read ``ssh-ed25519 AAAA... [comment]``. Raises `ValueError`."""
        words = text.split()
        if len(words) < 2:
            raise ValueError("a host key is an algorithm and its key: ssh-ed25519 AAAA...")
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the key is not in base64") from None
        kind = words[0].encode()
        # On the wire a key names its own algorithm first (RFC 4253, section 6.6).
        if blob[4 : 4 + len(kind)] != kind or blob[:4] != len(kind).to_bytes(4, "big"):
            raise ValueError(f"the key is none of {words[0]}")
        return cls(words[0], blob)

    @property
    def line(self) -> str:
        """As in known_hosts, without the name."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class KnownKeys:
    """What is known about one server: the keys it may show, those it must not, and where that stands."""

    trusted: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    where: str = ""
    #: Keys that vouch for hosts by their signature.
    authorities: tuple[HostKey, ...] = ()


_AUTHORITY = "@cert-authority"


def given_keys(text: str, where: str) -> KnownKeys:
    """The keys of a configuration value, one a line, an authority's after ``@cert-authority``. Raises `ValueError`."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    authorities = [line.removeprefix(_AUTHORITY) for line in lines if line.startswith(_AUTHORITY)]
    trusted = tuple(HostKey.parse(line) for line in lines if not line.startswith(_AUTHORITY))
    return KnownKeys(trusted, where=where, authorities=tuple(HostKey.parse(line) for line in authorities))


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
            elif marker == _AUTHORITY:
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
