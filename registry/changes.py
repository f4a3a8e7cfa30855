"""What a change did, or would do, to one thing in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What happens to a thing."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One thing and what happens to it.

    Attributes:
        object: `workspace:retail`, `resource_group:vpc_a`, `data_source:retail/orders`.
        fields: Field -> (before, after); the fields of an entry begin with its environment (`prod.database`). Secrets
            stand as references.
    """

    object: str
    action: Action
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
