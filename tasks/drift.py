"""How far dev and prod of the data sources of a workspace have drifted apart: one physical target or two, who can be
connected to, what the configurations say otherwise. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.connection import Connection
from registry.targets import CheckTarget
from registry.verdict import State, Verdict
from tasks import same_target
from tasks.comparison import Difference, entry_differences
from tasks.same_target import Finding, Same

UNTESTED = "untested"


@dataclass(frozen=True)
class Drift:
    """One data source, both sides.

    Attributes:
        missing: The sides that it has not, or that do not fit its type any more.
        target: Whether dev and prod are one; None: a side is missing.
        states: Environment -> resource group -> state, with the cause where it is not Connectable.
        differences: What the two configurations say otherwise; references to secrets stay away.
    """

    source: str
    type: str
    missing: tuple[str, ...]
    target: Finding | None
    states: Mapping[str, Mapping[str, str]]
    differences: Sequence[Difference]

    @property
    def is_isolated(self) -> bool:
        """Whether dev is known not to reach what prod reaches."""
        return self.target is not None and self.target.same in (Same.NO, Same.SERVER)

    @property
    def is_well(self) -> bool:
        """Whether both sides are there and Connectable from everywhere."""
        said = [state for sides in self.states.values() for state in sides.values()]
        return not self.missing and bool(said) and all(state == State.CONNECTABLE for state in said)

    def side(self, env: str) -> str:
        """How one side is, in a few words."""
        if env in self.missing:
            return "missing"
        by_state: defaultdict[str, list[str]] = defaultdict(list)
        for group, state in sorted(self.states.get(env, {}).items()):
            by_state[state].append(group)
        if len(by_state) == 1:
            return next(iter(by_state))
        return "; ".join(f"{state} from {', '.join(groups)}" for state, groups in by_state.items()) or UNTESTED

    def told(self) -> str:
        """The differences of configuration, in one line."""
        return "; ".join(f"{one.subject}: {one.dev} / {one.prod}" for one in self.differences)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "source": self.source,
            "type": self.type,
            "missing": list(self.missing),
            "target": self.target.same if self.target else None,
            "target_by": self.target.by if self.target else "",
            "isolated": self.is_isolated,
            "states": {env: dict(groups) for env, groups in self.states.items()},
            "differences": [{"field": one.subject, "dev": one.dev, "prod": one.prod} for one in self.differences],
        }


def drifts(targets: Iterable[CheckTarget], verdicts: Iterable[Verdict]) -> list[Drift]:
    """Every data source among these targets, by name.

    Args:
        verdicts: The newest of each source, environment and resource group.
    """
    known: defaultdict[tuple[str, str], dict[str, Connection | None]] = defaultdict(dict)
    for one in targets:
        known[one.source, one.type][one.env] = one.connection
    said: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        said[verdict.source].append(verdict)
    return [_drift(name, type_, sides, said[name]) for (name, type_), sides in sorted(known.items())]


def _drift(name: str, type_: str, sides: Mapping[str, Connection | None], verdicts: Sequence[Verdict]) -> Drift:
    dev, prod = sides.get("dev"), sides.get("prod")
    states: dict[str, dict[str, str]] = {"dev": {}, "prod": {}}
    for one in verdicts:
        states[one.env][one.resource_group] = f"{one.state}{f' ({one.cause})' if one.cause else ''}"
    missing = tuple(env for env in ("dev", "prod") if sides.get(env) is None)
    if dev is None or prod is None:
        return Drift(name, type_, missing, None, states, ())
    differing = entry_differences(_fields(dev), _fields(prod))
    return Drift(name, type_, missing, same_target.compare(dev, prod, verdicts), states, differing)


def _fields(connection: Connection) -> dict[str, Any]:
    """What an entry says openly: references to secrets stay away, as they say where a secret lies."""
    hidden = {*connection.sensitive_fields(), *connection.secret_mappings}
    return {"mode": connection.mode.value, **connection.model_dump(mode="json", exclude=hidden)}


def summary(found: Sequence[Drift]) -> str:
    """All of them in one line."""
    shared = sum(1 for one in found if one.target is not None and one.target.same is Same.TARGET)
    unknown = sum(1 for one in found if one.target is not None and one.target.same is Same.UNKNOWN)
    missing = sum(1 for one in found if one.missing)
    ill = sum(1 for one in found if not one.is_well)
    words = [f"{len(found)} data sources", f"{shared} with dev and prod on one physical target", f"{ill} not well"]
    words += [f"{missing} without a side"] if missing else []
    words += [f"{unknown} whose isolation is not known"] if unknown else []
    return ", ".join(words)
