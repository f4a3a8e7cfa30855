"""One verdict in full."""

from __future__ import annotations

from collections.abc import Mapping

from registry.verdict import INCONCLUSIVE, Stage, Status, Verdict
from tasks.report import markdown
from tasks.report.flowchart import drawing
from tasks.report.summary import MARKS, source_name

_RESULTS: Mapping[Status, str] = {
    Status.PASSED: "✅\u00a0passed",
    Status.FAILED: "❌\u00a0**failed**",
    Status.WARNED: "⚠️\u00a0warned",
    Status.SKIPPED: "skipped",
}
_OWNERS = {"user": "the owner of the data source", "dba": "the DBA", "network": "the network team"}


def diagnosis(verdict: Verdict) -> str:
    """One verdict in full: what is wrong, what to do, the path with its broken hop, every stage with its time."""
    title = f"# {MARKS[verdict.state]} {markdown.text(source_name(verdict))} · {verdict.env} · {verdict.state}"
    return "\n\n".join(
        part
        for part in (
            title,
            finding(verdict),
            facts(verdict),
            "## The path",
            drawing(verdict),
            "## Stages",
            stages(verdict),
            _warnings(verdict),
        )
        if part
    )


def finding(verdict: Verdict) -> str:
    """The cause, and what to do about it."""
    if verdict.connectable:
        return "Logged in, and what is to be read can be read."
    cause = markdown.code(verdict.cause or "")
    if verdict.cause == INCONCLUSIVE:
        cause += ": " + " or ".join(markdown.code(code) for code in verdict.alternatives)
    owner = _OWNERS.get(verdict.owner, "the platform team")
    return f"**{cause}** {markdown.text(verdict.message)}\n\n**What to do** ({owner}): {markdown.text(verdict.remedy)}"


def facts(verdict: Verdict) -> str:
    """What was checked, from where and when."""
    rows = [
        ("type", markdown.text(verdict.type)),
        ("checked from", f"resource group {markdown.code(verdict.resource_group)}"),
    ]
    if verdict.component:
        rows.insert(0, ("at fault", markdown.code(verdict.component)))
    rows.append(("checked at", f"{markdown.moment(verdict.started_at)}, in {markdown.ms(verdict.elapsed_ms)} ms"))
    return markdown.table(("", ""), rows)


def stages(verdict: Verdict) -> str:
    """Every stage with its time and evidence."""
    rows = [
        (
            stage.name,
            _RESULTS[stage.status],
            "" if stage.status is Status.SKIPPED else markdown.ms(stage.elapsed_ms),
            _seen(stage),
        )
        for stage in verdict.stages
    ]
    return markdown.table(("stage", "result", "ms", "what was seen"), rows, align="llrl")


def _seen(stage: Stage) -> str:
    if set(stage.evidence) == {"reason"}:
        return markdown.text(stage.evidence["reason"])
    return " · ".join(
        f"{markdown.text(name)} {markdown.code(markdown.flat(value))}" for name, value in stage.evidence.items()
    )


def _warnings(verdict: Verdict) -> str:
    lines = [f"- {markdown.code(warning.code)} {markdown.text(warning.message)}" for warning in verdict.warnings]
    return "\n".join(["## Warnings", "", *lines]) if lines else ""
