"""Whether two sides of a data source reach one physical target, by what the servers say of themselves.

A server that says who it is is believed: PostgreSQL by its system identifier and the moment it was started, MySQL by
its UUID, host and folder, Redis by its run; each with the database. A copy of a PostgreSQL keeps the identifier, so two
of one identifier that were started at two moments are one only where they have one address. Where a server says
nothing, the address that was really connected to counts, with what is named inside; and where nothing was reached, the
text of the two configurations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry import places
from registry.connection import Connection
from registry.verdict import Verdict, Warning


class Same(StrEnum):
    """How near two sides are."""

    #: One physical target.
    TARGET = "same target"
    #: One server, but another database, path or index of it.
    SERVER = "same server"
    NO = "different servers"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """Whether dev and prod are one. `by` says what the answer rests on."""

    same: Same
    by: str

    def __str__(self) -> str:
        return f"{self.same} ({self.by})"


#: What is told of both sides.
CODE = "CONFIG.ENVS_SHARE_TARGET"
_TOLD = "dev and prod point at the same physical target: a mistake in development reaches production"
BY_TEXT = Warning(code=CODE, message=_TOLD)


def compare(dev: Connection, prod: Connection, verdicts: Sequence[Verdict] = ()) -> Finding:
    """Whether two sides of one data source are one.

    Args:
        verdicts: Those of both sides, from any resource groups; newer ones last.
    """
    if found := _by_identity(verdicts):
        return found
    if found := _by_address(dev, prod, verdicts):
        return found
    if places.place(dev) == places.place(prod):
        return Finding(Same.TARGET, "both name the same place")
    if places.server(dev) == places.server(prod):
        return Finding(Same.SERVER, "both name the same server")
    return Finding(Same.UNKNOWN, "they name different servers, and neither was asked who it is")


def _by_identity(verdicts: Sequence[Verdict]) -> Finding | None:
    known = {one.env: seen for one in verdicts if _who(seen := _facts(one))}
    if set(known) != {"dev", "prod"}:
        return None
    dev, prod = known["dev"], known["prod"]
    one = Same.TARGET if dev.get("database_identity") == prod.get("database_identity") else Same.SERVER
    if _who(dev) == _who(prod):
        return Finding(one, f"both are {_who(dev)}")
    lasting = dev.get("server_identity"), prod.get("server_identity")
    if not all(lasting):
        return None  # another run: one that was started again since, or another server
    if lasting[0] != lasting[1]:
        return Finding(Same.NO, f"dev is {lasting[0]}, prod is {lasting[1]}")
    both = [sides for sides in _addresses(verdicts).values() if len(sides) == len(known)]
    if both and all(sides["dev"] == sides["prod"] for sides in both):
        return Finding(one, f"both are {lasting[0]} at one address, started again since")
    return Finding(Same.UNKNOWN, f"both are {lasting[0]}, started at two moments: a copy, or started again since")


def _who(facts: Mapping[str, Any]) -> Any:
    """What is the same for one server that is asked twice, and for no other."""
    return facts.get("server_run") or facts.get("server_identity")


def _by_address(dev: Connection, prod: Connection, verdicts: Sequence[Verdict]) -> Finding | None:
    """Addresses are compared as one resource group sees them: 127.0.0.1 is another machine elsewhere."""
    for group, sides in _addresses(verdicts).items():
        if set(sides) == {"dev", "prod"}:
            address, port = sides["dev"]
            if sides["dev"] != sides["prod"]:
                there = f"{sides['prod'][0]} port {sides['prod'][1]}"
                return Finding(Same.NO, f"seen from {group}, dev is {address} port {port}, prod is {there}")
            inside = places.place(dev)[1:] == places.place(prod)[1:]
            return Finding(Same.TARGET if inside else Same.SERVER, f"both are {address} port {port}, seen from {group}")
    return None


def _addresses(verdicts: Sequence[Verdict]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Resource group -> environment -> address and port."""
    seen: dict[str, dict[str, tuple[Any, Any]]] = {}
    for one in verdicts:
        facts = _facts(one)
        if facts.get("address"):
            seen.setdefault(one.resource_group, {})[one.env] = (facts["address"], facts.get("port"))
    return seen


def _facts(verdict: Verdict) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for stage in verdict.stages:
        if stage.name in ("connect", "privilege"):
            found |= {name: stage.evidence[name] for name in _READ if name in stage.evidence}
    return found


_READ = ("server_run", "server_identity", "database_identity", "address", "port")


class Sides:
    """Warns of sources whose sides turn out to be one server's one database, however they are written.

    The second side that is seen is warned of; both are, where they come together.
    """

    def __init__(self) -> None:
        self._seen: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)

    def told(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """These verdicts, with the warning where it is due."""
        together = list(verdicts)
        for one in together:
            facts = _facts(one)
            if _who(facts):
                self._seen[_key(one, facts)].add(one.env)
        return [self._one(verdict) for verdict in together]

    def _one(self, verdict: Verdict) -> Verdict:
        facts = _facts(verdict)
        if len(self._seen.get(_key(verdict, facts), ())) < 2 or any(one.code == CODE for one in verdict.warnings):
            return verdict
        warning = Warning(code=CODE, message=f"{_TOLD} (both are {_who(facts)})")
        return verdict.model_copy(update={"warnings": [*verdict.warnings, warning]})


def _key(verdict: Verdict, facts: Mapping[str, Any]) -> tuple[str, str, str]:
    return verdict.workspace, verdict.source, f"{_who(facts)} {facts.get('database_identity')}"
