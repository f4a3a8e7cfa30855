"""The parts of a connection that every tool knows, and what stands in exports, read without repeating secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from registry.importing import NotTaken


@dataclass(frozen=True)
class Parts:
    """One connection, taken apart.

    Attributes:
        password: A `SecretStr`, or the text of a reference.
        extra: What the tool knows besides: driver options and its own settings. Secrets as in `password`.
    """

    host: str = ""
    port: Any = None
    database: str = ""
    username: str = ""
    password: SecretStr | str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def text(value: Any) -> str:
    """A scalar as text; empty for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""


def is_on(value: Any) -> bool:
    """Whether a switch is on, in any tool's spelling."""
    return text(value).lower() in ("true", "1", "yes", "on")


def secret(value: Any) -> SecretStr | None:
    """A secret that stands in the export itself."""
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
        return None
    return SecretStr(str(value))


def embedded(value: Any, what: str) -> dict[str, Any]:
    """A mapping, or the text of one in JSON; empty where there is none.

    Raises:
        NotTaken: It is something else. The value is not repeated: it may hold secrets.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise NotTaken(f"its {what} is no JSON") from None
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise NotTaken(f"its {what} is no mapping")
    return value


def shown(value: Any) -> str:
    """A key or type fit for a message: what does not look like one may be a secret gone astray."""
    return f"{value}" if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\- ]{0,60}", str(value)) else "something unreadable"
