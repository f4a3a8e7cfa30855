"""Host keys of SSH servers as people write them down (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", without the name)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

#: Before a key that vouches for hosts by its signature.
AUTHORITY = "@cert-authority"


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


def read(text: str) -> tuple[tuple[HostKey, ...], tuple[HostKey, ...]]:
    """The keys to be trusted and those of authorities, one a line, an authority's after ``@cert-authority``.

    Raises:
        ValueError: One of them is no key; or there is none.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("there is no key in it")
    trusted = tuple(HostKey.parse(line) for line in lines if not line.startswith(AUTHORITY))
    return trusted, tuple(HostKey.parse(line.removeprefix(AUTHORITY)) for line in lines if line.startswith(AUTHORITY))
