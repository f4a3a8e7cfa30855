"""Verdicts in a line or two, and the marks and names that every report has for them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from registry.verdict import State, Verdict

MARKS: Mapping[State, str] = {
    State.CONNECTABLE: "🟢",
    State.CONFIG_ERROR: "🟠",
    State.UNREACHABLE: "🔴",
    State.UNSUPPORT: "⚪",
}
#: As many sick ones are named in one line.
_NAMED = 5
_TALLY = re.compile(r"(\d+) of (\d+) not Connectable")


def sick(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those that aren't Connectable, by name."""
    return sorted((one for one in verdicts if not one.connectable), key=place)


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many are sick and which, in one line: the message of a run's state."""
    ill = sick(verdicts)
    if not ill:
        return f"0 of {len(verdicts)} not Connectable"
    names = [f"{source_name(one)}/{one.env} {one.cause}" for one in ill]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(ill)} of {len(verdicts)} not Connectable: {', '.join(names[:_NAMED])}{more}"


def counted(message: str | None) -> tuple[int, int] | None:
    """The numbers (sick, all) of a line that `tally` wrote."""
    found = _TALLY.match(message or "")
    return (int(found[1]), int(found[2])) if found else None


def key(kind: str, *names: str) -> str:
    """An artifact's key: small letters, digits and dashes; names that would look alike get a digest."""
    plain = "-".join([kind, *names])
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    mark = "" if slug == plain else "-" + hashlib.sha256("/".join(names).encode()).hexdigest()[:6]
    return slug[:200] + mark


def source_name(verdict: Verdict) -> str:
    """`WORKSPACE/SOURCE`."""
    return f"{verdict.workspace}/{verdict.source}"


def place(verdict: Verdict) -> tuple[str, str, str, str]:
    """What a verdict is about: workspace, source, environment and resource group."""
    return verdict.workspace, verdict.source, verdict.env, verdict.resource_group


def heading(title: str, verdicts: Sequence[Verdict], seconds: float) -> list[str]:
    """The title of a report of many, with how many are sick, and what states there are."""
    ill = sum(not one.connectable for one in verdicts)
    mark = MARKS[State.UNREACHABLE if ill else State.CONNECTABLE]
    word = f"{ill} of {len(verdicts)} not Connectable" if ill else "all Connectable"
    counts = Counter(one.state for one in verdicts)
    states = ", ".join(f"{counts[state]} {state}" for state in State if counts[state]) or "nothing checked"
    return [f"# {mark} {title}: {word}", f"{len(verdicts)} checks in {seconds:.1f} s: {states}."]
