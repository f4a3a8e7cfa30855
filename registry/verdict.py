"""The verdict: one data source x one environment x one resource group.

Scripts outside this repository depend on the names here: fields and values are added, never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    """DataWorks' four words for the outcome of a connectivity test, in its own spelling."""

    CONNECTABLE = "Connectable"
    CONFIG_ERROR = "ConfigError"
    UNREACHABLE = "Unreachable"
    UNSUPPORT = "Unsupport"


class Status(StrEnum):
    """How one stage ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    WARNED = "warned"


class Owner(StrEnum):
    """Who can fix it."""

    USER = "user"
    DBA = "dba"
    NETWORK = "network"
    PLATFORM = "platform"


#: The stages of a check, in the order in which they are reported.
STAGES = (
    "config",
    "credentials",
    "instance",
    "resolve",
    "route",
    "connect",
    "greet",
    "tls",
    "admit",
    "login",
    "target",
    "privilege",
)

INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage with what was observed in it. `evidence` is a flat object: scalars, or lists of scalars.

    A plain dataclass, because every check makes a dozen of them.
    """

    name: str
    status: Status
    started_at: str
    elapsed_ms: float
    evidence: dict[str, Any] = field(default_factory=dict)


class Warning(BaseModel):
    """Something that works now and will not for long."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    code: str
    message: str


class Verdict(BaseModel):
    """The outcome of one check. `cause` is null only when `state` is Connectable."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    workspace: str
    source: str
    type: str
    env: str
    resource_group: str
    state: State
    cause: str | None = None
    alternatives: list[str] = Field(default_factory=list)
    component: str = ""
    message: str = ""
    remedy: str = ""
    owner: Owner = Owner.USER
    stages: list[Stage] = Field(default_factory=list)
    warnings: list[Warning] = Field(default_factory=list)
    started_at: str
    elapsed_ms: float

    @property
    def connectable(self) -> bool:
        """Whether every stage up to `privilege` passed."""
        return self.state is State.CONNECTABLE
