"""DataWorks' rules for names and descriptions.

Data sources: letters, digits and `_`, not first a digit or `_`, at most 255 characters; 60 for a name that cloning
makes; a description has at most 3000 (data source management pages; OpenAPI 2024-05-18 `CloneDataSource`).
Workspaces: `CreateProject` asks for 3 to 28 characters of the same alphabet; here 1 to 255 are accepted, for nothing
else depends on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.errors import InvalidInput

LONGEST_DESCRIPTION = 3000

_ALPHABET = re.compile(r"[A-Za-z0-9_]*")


@dataclass(frozen=True)
class NameRule:
    """What names of one kind look like."""

    what: str
    longest: int
    example: str

    def check(self, value: object, *, where: str = "name") -> str:
        """The name itself.

        Raises:
            InvalidInput: It breaks the rule; the message says where, why, and gives an example.
        """
        fault = self._fault(value)
        if fault is None:
            return str(value)
        raise InvalidInput(
            f"{_shown(value)} is no name of a {self.what}: {fault}",
            where=where,
            instruction=f"use letters, digits and _, at most {self.longest} characters; for example: {self.example}",
            code="CONFIG.BAD_VALUE",
        )

    def _fault(self, value: object) -> str | None:
        if not isinstance(value, str):
            return f"it is of type {type(value).__name__}, not text"
        if not value:
            return "it is empty"
        if len(value) > self.longest:
            return f"it has {len(value)} characters, {self.longest} are the most"
        if not _ALPHABET.fullmatch(value):
            wrong = next(char for char in value if not _ALPHABET.fullmatch(char))
            return f"{wrong!r} is not allowed in it"
        if value[0] == "_" or value[0].isdigit():
            return f"it begins with {value[0]!r}"
        return None


DATA_SOURCE = NameRule("data source", 255, "orders_mysql")
CLONE = NameRule("cloned data source", 60, "orders_mysql_copy")
WORKSPACE = NameRule("workspace", 255, "retail")
RESOURCE_GROUP = NameRule("resource group", 255, "vpc_a")


def check_description(value: object, *, where: str = "description") -> str:
    """The description itself.

    Raises:
        InvalidInput: It is no text, or longer than 3000 characters.
    """
    if isinstance(value, str) and len(value) <= LONGEST_DESCRIPTION:
        return value
    fault = f"it has {len(value)} characters" if isinstance(value, str) else f"it is of type {type(value).__name__}"
    raise InvalidInput(
        f"this is no description: {fault}",
        where=where,
        instruction=f"use text of at most {LONGEST_DESCRIPTION} characters; for example: order book of the shop",
        code="CONFIG.BAD_VALUE",
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
