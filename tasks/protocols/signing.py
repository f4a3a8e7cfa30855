"""What the signatures of several clouds' requests share: a keyed digest of lines, and the time as HTTP writes it."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime


def hmac_sha1(key: bytes, lines: Iterable[str]) -> str:
    """The base64 of HMAC-SHA1 (RFC 2104) over lines."""
    return base64.b64encode(hmac.digest(key, "\n".join(lines).encode(), "sha1")).decode()


def http_date(at: datetime) -> str:
    """A time as a Date header has it (RFC 9110, section 5.6.7)."""
    return format_datetime(at.astimezone(UTC), usegmt=True)
