"""Verdicts for a terminal: a table, plain lines, or the stages in full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from registry.verdict import State, Status, Verdict

_COLOURS = {
    State.CONNECTABLE: "green",
    State.CONFIG_ERROR: "yellow",
    State.UNREACHABLE: "red",
    State.UNSUPPORT: "magenta",
}
_MARKS = {Status.PASSED: "ok", Status.FAILED: "FAILED", Status.SKIPPED: "-", Status.WARNED: "warn"}


def name(verdict: Verdict) -> str:
    """`workspace/source`, or the source alone where no workspace has it."""
    return f"{verdict.workspace}/{verdict.source}" if verdict.workspace else verdict.source


def line(verdict: Verdict) -> str:
    """One verdict on one line, for pipes and logs."""
    parts = [name(verdict), verdict.env, verdict.resource_group, str(verdict.state)]
    if verdict.cause:
        cause = f"{verdict.cause} ({' or '.join(verdict.alternatives)})" if verdict.alternatives else verdict.cause
        parts += [cause, verdict.message, f"Remedy: {verdict.remedy}"]
    parts += [f"warning {warning.code}: {warning.message}" for warning in verdict.warnings]
    return "  ".join([*parts, f"{verdict.elapsed_ms:.0f} ms"])


def short(verdict: Verdict) -> Any:
    """One verdict for a line of a terminal: what and why, cut where the line ends."""
    from rich.text import Text

    told = Text(no_wrap=True, overflow="ellipsis")
    told.append(f"{verdict.state}  ", style=_COLOURS[verdict.state])
    told.append(f"{name(verdict)}  {verdict.env}  {verdict.resource_group}  ")
    told.append(verdict.cause or "", style="bold")
    return told.append(f"  {verdict.message}")


def table(verdicts: Sequence[Verdict]) -> Any:
    """Cause and remedy of each verdict for a terminal of any width, the sick ones first."""
    from rich.text import Text

    from flows.grid import Grid

    rows = []
    for verdict in ordered(verdicts):
        place = (name(verdict), verdict.env, verdict.resource_group)
        state = Text(str(verdict.state), style=_COLOURS[verdict.state])
        rows.append([*map(Text, place), state, _told(verdict), Text(f"{verdict.elapsed_ms:.0f}")])
    return Grid(("data source", "env", "from", "state", "cause and remedy", "ms"), rows, lines=True)


def _told(verdict: Verdict) -> Any:
    """Cause, message, remedy and warnings, below each other."""
    from rich.text import Text

    text = Text()
    if verdict.cause:
        text.append(verdict.cause, style="bold")
        if verdict.alternatives:
            text.append(f" ({' or '.join(verdict.alternatives)})")
        text.append(f"\n{verdict.message}\n")
        text.append(f"-> {verdict.remedy}", style="cyan")
    for warning in verdict.warnings:
        text.append(("\n" if text else "") + f"! {warning.code}: {warning.message}", style="yellow")
    return text


def ordered(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The sick ones first, then by name."""
    return sorted(verdicts, key=lambda one: (one.connectable, one.workspace, one.source, one.env, one.resource_group))


def explanation(verdict: Verdict) -> str:
    """The stages of one verdict with their times and evidence."""
    lines = [f"{name(verdict)}  {verdict.env}  from {verdict.resource_group}: {verdict.state}"]
    if verdict.cause:
        lines += [
            f"  cause      {verdict.cause}"
            + (f" of {', '.join(verdict.alternatives)}" if verdict.alternatives else ""),
            f"  component  {verdict.component}",
            f"  what       {verdict.message}",
            f"  remedy     {verdict.remedy} (owner: {verdict.owner})",
        ]
    for stage in verdict.stages:
        lines.append(
            f"  {stage.name:<12}{_MARKS[stage.status]:<7}{stage.elapsed_ms:>9.1f} ms  {_facts(stage.evidence)}"
        )
    lines += [f"  warning    {warning.code}: {warning.message}" for warning in verdict.warnings]
    return "\n".join(lines)


def _facts(evidence: dict[str, Any]) -> str:
    if set(evidence) == {"reason"}:
        return str(evidence["reason"])
    return "  ".join(f"{key}={_short(value)}" for key, value in evidence.items())


def _short(value: Any) -> str:
    return "[" + ", ".join(str(item) for item in value) + "]" if isinstance(value, (list, tuple)) else str(value)


def summary(verdicts: Sequence[Verdict], seconds: float) -> str:
    """How many of each state, in how long."""
    counts = {state: sum(1 for one in verdicts if one.state is state) for state in State}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{len(verdicts)} checked in {seconds:.1f} s: {told}"
