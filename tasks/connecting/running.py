"""What runs right now: a flow run of Prefect, or a program by itself.

Prefect is not imported for it: whoever runs in a flow run has it loaded, and its context is looked at where it lies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.errors import InvalidInput

ENVIRONMENTS = ("dev", "prod")
#: Parameters of a flow that say where it runs.
_PARAMETERS = ("env", "environment")


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        deployment: Its id; empty: the run belongs to none.
        flow: The name of its flow, or the path of the program.
        pool: The work pool that it was taken from.
    """

    flow: str
    deployment: str = ""
    pool: str = ""
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def tag(self, name: str) -> str:
        """The value of a tag `NAME:VALUE`, of the first of several; empty where there is none."""
        return next(iter(self._tags(name)), "")

    def _tags(self, name: str) -> Sequence[str]:
        return [tag.partition(":")[2] for tag in self.tags if tag.startswith(f"{name}:")]

    def _expect_one(self, name: str) -> None:
        """Raises: InvalidInput: Two tags say two things."""
        said = sorted({*self._tags(name)})
        if len(said) > 1:
            told = f"{self.flow} is tagged {' and '.join(f'{name}:{value}' for value in said)}"
            raise InvalidInput(told, where=f"tag {name}", instruction="leave one of them to its deployment")

    def env(self, stated: str | None) -> str:
        """Where it runs: what is stated, else by its tags, its parameters, its work pool, `HEADWATER_ENV`.

        Raises:
            InvalidInput: Nothing says it, or something else than dev and prod, or two tags say both.
        """
        if not stated:
            self._expect_one("env")
        said = (("env", stated or ""), *self._told(), ("HEADWATER_ENV", os.environ.get("HEADWATER_ENV", "")))
        for where, value in said:
            if value in ENVIRONMENTS:
                return value
            if value:
                raise InvalidInput(f"{value!r} is no environment", where=where, instruction="use dev or prod")
        raise InvalidInput(
            f"nothing says whether {self.flow} runs in dev or in prod",
            where="env",
            instruction="tag its deployment env:dev or env:prod, or export HEADWATER_ENV=dev",
        )

    def own_env(self) -> str:
        """Where it runs by its tags, its parameters or its work pool; empty: they do not say."""
        return next((value for _, value in self._told() if value in ENVIRONMENTS), "")

    def _told(self) -> Sequence[tuple[str, str]]:
        parameters = [(f"parameter {name}", self.parameters.get(name)) for name in _PARAMETERS]
        ending = self.pool.replace("_", "-").rpartition("-")[2]
        return (
            ("tag env", self.tag("env")),
            *((where, value) for where, value in parameters if isinstance(value, str) and value in ENVIRONMENTS),
            ("work pool", ending if ending in ENVIRONMENTS else ""),
        )

    def workspace(self, stated: str | None) -> str:
        """The workspace that it belongs to; empty: nothing says it.

        Raises:
            InvalidInput: Two tags say two.
        """
        if not stated:
            self._expect_one("workspace")
        return stated or self.tag("workspace") or os.environ.get("HEADWATER_WORKSPACE", "")


def current() -> Run:
    """What runs here."""
    context = _flow_run()
    if context is None:
        return Run(str(Path(sys.argv[0]).absolute()) if sys.argv and sys.argv[0] else "python")
    run = context.flow_run
    return Run(
        flow=getattr(context.flow, "name", "") or "flow",
        deployment=str(run.deployment_id or ""),
        pool=run.work_pool_name or "",
        tags=tuple(run.tags),
        parameters=dict(run.parameters),
    )


def _flow_run() -> Any:
    loaded = sys.modules.get("prefect.context")
    found = loaded.FlowRunContext.get() if loaded is not None else None
    return found if found is not None and getattr(found, "flow_run", None) is not None else None
