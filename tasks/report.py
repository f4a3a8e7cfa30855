"""Reports for people: verdicts in, markdown out. Pure; `tasks.publish` takes them to Prefect.

What a peer said is text of a stranger: it never becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.verdict import INCONCLUSIVE, Stage, State, Status, Verdict
from registry.verdicts import Standing

#: A report stays below this, in bytes: Prefect stores an artifact whole, and sends it as an event besides.
LIMIT = 900_000
#: A browser draws a few paths in no time, and many of them slowly.
DRAWN = 10
#: Sick ones that a report of many tells in detail: these keep their stages.
DETAILS = 50
_ROWS = 500
#: A health matrix with more rows than these shows what is sick, and counts the rest.
_MATRIX = 200

MARKS: Mapping[State, str] = {
    State.CONNECTABLE: "🟢",
    State.CONFIG_ERROR: "🟠",
    State.UNREACHABLE: "🔴",
    State.UNSUPPORT: "⚪",
}
_RESULTS: Mapping[Status, str] = {
    Status.PASSED: "✅\u00a0passed",
    Status.FAILED: "❌\u00a0**failed**",
    Status.WARNED: "⚠️\u00a0warned",
    Status.SKIPPED: "skipped",
}
_OWNERS = {"user": "the owner of the data source", "dba": "the DBA", "network": "the network team"}


@dataclass(frozen=True)
class Point:
    """One past round of checks, for the trend."""

    at: datetime
    sick: int
    total: int


# --- one line -------------------------------------------------------------------------------------------------------


def sick(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those that aren't Connectable, by name."""
    return sorted((one for one in verdicts if not one.connectable), key=_place)


def tally(verdicts: Sequence[Verdict], *, named: int = 5) -> str:
    """How many are sick and which, in one line: the message of a run's state."""
    ill = sick(verdicts)
    if not ill:
        return f"0 of {len(verdicts)} not Connectable"
    names = [f"{_name(one)}/{one.env} {one.cause}" for one in ill]
    more = f" and {len(names) - named} more" if len(names) > named else ""
    return f"{len(ill)} of {len(verdicts)} not Connectable: {', '.join(names[:named])}{more}"


_TALLY = re.compile(r"(\d+) of (\d+) not Connectable")


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


# --- one verdict ----------------------------------------------------------------------------------------------------


def diagnosis(verdict: Verdict) -> str:
    """One verdict in full: what is wrong, what to do, the path with its broken hop, every stage with its time."""
    title = f"# {MARKS[verdict.state]} {_text(_name(verdict))} · {verdict.env} · {verdict.state}"
    return "\n\n".join(
        part
        for part in (
            title,
            _finding(verdict),
            _facts(verdict),
            "## The path",
            _drawing(verdict),
            "## Stages",
            _stages(verdict),
            _warnings(verdict),
        )
        if part
    )


def _finding(verdict: Verdict) -> str:
    if verdict.connectable:
        return "Logged in, and what is to be read can be read."
    cause = _code(verdict.cause or "")
    if verdict.cause == INCONCLUSIVE:
        cause += ": " + " or ".join(_code(code) for code in verdict.alternatives)
    owner = _OWNERS.get(verdict.owner, "the platform team")
    return f"**{cause}** {_text(verdict.message)}\n\n**What to do** ({owner}): {_text(verdict.remedy)}"


def _facts(verdict: Verdict) -> str:
    rows = [("type", _text(verdict.type)), ("checked from", f"resource group {_code(verdict.resource_group)}")]
    if verdict.component:
        rows.insert(0, ("at fault", _code(verdict.component)))
    rows.append(("checked at", f"{_moment(verdict.started_at)}, in {_ms(verdict.elapsed_ms)} ms"))
    return _table(("", ""), rows)


def _stages(verdict: Verdict) -> str:
    rows = [
        (
            stage.name,
            _RESULTS[stage.status],
            "" if stage.status is Status.SKIPPED else _ms(stage.elapsed_ms),
            _seen(stage),
        )
        for stage in verdict.stages
    ]
    return _table(("stage", "result", "ms", "what was seen"), rows, align="llrl")


def _seen(stage: Stage) -> str:
    if set(stage.evidence) == {"reason"}:
        return _text(stage.evidence["reason"])
    return " · ".join(f"{_text(name)} {_code(_flat(value))}" for name, value in stage.evidence.items())


def _warnings(verdict: Verdict) -> str:
    lines = [f"- {_code(warning.code)} {_text(warning.message)}" for warning in verdict.warnings]
    return "\n".join(["## Warnings", "", *lines]) if lines else ""


# --- the path -------------------------------------------------------------------------------------------------------

#: What a stage that passed has reached: the label of the next stop.
_STOPS: Mapping[str, Callable[[Verdict, Mapping[str, Any]], str]] = {
    "config": lambda verdict, seen: "configuration",
    "credentials": lambda verdict, seen: "credentials",
    "instance": lambda verdict, seen: "cloud instance",
    "resolve": lambda verdict, seen: _flat(seen.get("addresses") or seen.get("name") or "address"),
    "route": lambda verdict, seen: f"way out {seen.get('source_address', '')}".strip(),
    "connect": lambda verdict, seen: f"{seen.get('address', 'host')}:{seen.get('port', '')}".rstrip(":"),
    "greet": lambda verdict, seen: verdict.type,
    "tls": lambda verdict, seen: _flat(seen.get("version") or "TLS"),
    "admit": lambda verdict, seen: "admitted",
    "login": lambda verdict, seen: "logged in",
    "target": lambda verdict, seen: _flat(seen.get("database") or "target"),
    "privilege": lambda verdict, seen: "readable",
}
#: These are stops only where they failed.
_SILENT = ("config", "credentials")


def path(verdict: Verdict) -> str:
    """The way from the resource group to the data, as a mermaid flowchart with the broken hop marked."""
    lines = ["flowchart TD", f"  here([{_label(verdict.resource_group)}])"]
    previous, broken = "here", False
    classes: defaultdict[str, list[str]] = defaultdict(list, start=["here"])
    links: list[str] = []
    for stage in _hops(verdict.stages):
        seen = stage.evidence
        lines.append(f"  {stage.name}[{_label(_STOPS[stage.name](verdict, seen))}]")
        if stage.status is Status.FAILED:
            broken = True
            arrow, kind = f"-. {_label(f'✖ {stage.name}: {verdict.cause}')} .->", "broken"
            links.append(f"  linkStyle {len(links)} stroke:#fa4549,stroke-width:3px,color:#d1242f")
        elif broken:
            arrow, kind = "-.-", "beyond"
            links.append(f"  linkStyle {len(links)} stroke:#9aa0a6")
        else:
            arrow, kind = f"-- {_label(f'{stage.name} {_ms(stage.elapsed_ms)} ms')} -->", "reached"
            links.append(f"  linkStyle {len(links)} stroke:#2da44e")
        lines.append(f"  {previous} {arrow} {stage.name}")
        classes[kind].append(stage.name)
        previous = stage.name
    return "\n".join([*lines, *links, *_CLASSES, *(f"  class {','.join(ids)} {name}" for name, ids in classes.items())])


_CLASSES = (
    "  classDef start fill:#ddf4ff,stroke:#0969da,color:#0a3069",
    "  classDef reached fill:#dafbe1,stroke:#1a7f37,color:#0f3d1f",
    "  classDef broken fill:#ffebe9,stroke:#d1242f,stroke-width:3px,color:#82071e",
    "  classDef beyond fill:#f6f8fa,stroke:#9aa0a6,stroke-dasharray:4,color:#57606a",
)


def _drawing(verdict: Verdict) -> str:
    return f"```mermaid\n{path(verdict)}\n```"


def _hops(stages: Sequence[Stage]) -> list[Stage]:
    """The stages that ran, and after a failure those that would have come."""
    failed = next((index for index, stage in enumerate(stages) if stage.status is Status.FAILED), len(stages))
    before = [stage for stage in stages[:failed] if stage.status is not Status.SKIPPED and stage.name not in _SILENT]
    wanted = ("connect", "login", "target")
    after = [stage for stage in stages[failed + 1 :] if stage.name in wanted]
    return [*before, *stages[failed : failed + 1], *after]


def _label(text: object) -> str:
    """A quoted label; everything that mermaid could read as syntax stands as an entity."""
    short = _cut(_flat(text), 48)
    return '"' + "".join(char if char.isalnum() or char in " .:,_-/@✖•…" else f"#{ord(char)};" for char in short) + '"'


# --- several verdicts -----------------------------------------------------------------------------------------------


def several(verdicts: Sequence[Verdict], *, seconds: float, title: str = "Connectivity") -> str:
    """Many verdicts: a table of them, the sick ones first, each of these in detail."""
    ordered = sorted(verdicts, key=lambda one: (one.connectable, _place(one)))
    ill = [one for one in ordered if not one.connectable]
    parts = [
        f"# {_sign(ill)} {_text(title)}: {_verdict(ill, verdicts)}",
        f"{len(verdicts)} checks in {seconds:.1f} s: {_states(verdicts)}.",
        _overview(ordered[:_ROWS], len(ordered) > _ROWS and f"{len(ordered) - _ROWS} more are not shown."),
    ]
    if ill:
        folded = (_folded(one, drawn=len(ill) <= DRAWN) for one in ill[:DETAILS])
        parts += ["## In detail", *_bounded(folded, len(ill), used=_size(parts))]
    return "\n\n".join(parts)


def _overview(verdicts: Sequence[Verdict], note: str | bool) -> str:
    rows = [
        (
            _text(_name(one)),
            one.env,
            _text(one.resource_group),
            f"{MARKS[one.state]}\u00a0{one.state}",
            _code(one.cause) if one.cause else "",
            _text(_cut(one.remedy, 300)),
            _ms(one.elapsed_ms),
        )
        for one in verdicts
    ]
    table = _table(("data source", "env", "from", "state", "cause", "what to do", "ms"), rows, align="llllllr")
    return f"{table}\n\n{note}" if note else table


def _folded(verdict: Verdict, *, drawn: bool) -> str:
    title = f"{MARKS[verdict.state]} {_name(verdict)} · {verdict.env} from {verdict.resource_group}: {verdict.cause}"
    parts = [_finding(verdict), _facts(verdict), *([_drawing(verdict)] if drawn else []), _stages(verdict)]
    body = "\n\n".join(parts)
    return f"<details>\n<summary>{html.escape(title)}</summary>\n\n{body}\n\n</details>"


def _bounded(parts: Iterable[str], total: int, *, used: int = 0) -> list[str]:
    """As many parts as fit below the limit, and a word on those that don't."""
    kept: list[str] = []
    for part in parts:
        used += len(part.encode()) + 2
        if used > LIMIT:
            break
        kept.append(part)
    if len(kept) < total:
        kept.append(f"{total - len(kept)} more are left out here; `headwater test NAME --explain` tells each in full.")
    return kept


# --- health ---------------------------------------------------------------------------------------------------------


def health(
    verdicts: Sequence[Verdict],
    *,
    seconds: float,
    changes: Sequence[Standing] = (),
    standings: Sequence[Standing] = (),
    previous: datetime | None = None,
    trend: Sequence[Point] = (),
) -> str:
    """All data sources at a glance: who is sick since when, what changed, and the matrix.

    Args:
        changes: What stands otherwise than after the run before.
        standings: What is sick, and since when.
        previous: When the run before ended; None where there was none.
        trend: The rounds before this one, oldest first.
    """
    ill = sick(verdicts)
    since = {(one.workspace, one.source, one.env, one.resource_group): one.since for one in standings}
    parts = [
        f"# {_sign(ill)} Health of the data sources: {_verdict(ill, verdicts)}",
        f"{len(verdicts)} checks in {seconds:.1f} s: {_states(verdicts)}.",
        _trend(trend),
        _changed(changes, previous),
        _causes(ill),
        _sick_since(ill, since),
        _matrix(verdicts),
    ]
    told = [part for part in parts if part]
    return "\n\n".join(_bounded(told, len(told)))


def _changed(changes: Sequence[Standing], previous: datetime | None) -> str:
    heading = "## Changes since the last run" + (f" ({_moment(previous.isoformat())})" if previous else "")
    if not changes:
        return f"{heading}\n\n" + ("Nothing changed." if previous else "This is the first run.")
    rows = [
        (
            _text(f"{one.workspace}/{one.source}"),
            one.env,
            _text(one.resource_group),
            _was(one.before),
            _was((one.state, one.cause)),
            _minute(one.since),
        )
        for one in changes[:_ROWS]
    ]
    table = _table(("data source", "env", "from", "was", "is", "since (UTC)"), rows)
    return f"{heading}\n\n{table}" + _more(len(changes) - _ROWS)


def _was(standing: tuple[State, str | None] | None) -> str:
    if standing is None:
        return "not checked"
    state, cause = standing
    return f"{MARKS[state]} {_code(cause) if cause else state}"


def _causes(ill: Sequence[Verdict]) -> str:
    if not ill:
        return ""
    counts = Counter((one.cause or "", str(one.state), str(one.owner)) for one in ill)
    rows = [(_code(cause), state, owner, str(count)) for (cause, state, owner), count in counts.most_common()]
    return "## Causes\n\n" + _table(("cause", "state", "who can fix it", "checks"), rows, align="lllr")


def _sick_since(ill: Sequence[Verdict], since: Mapping[tuple[str, str, str, str], datetime]) -> str:
    if not ill:
        return ""
    rows = [
        (
            _text(_name(one)),
            one.env,
            _text(one.resource_group),
            _minute(since[found]) if (found := _place(one)) in since else "",
            _code(one.cause or ""),
            _text(_cut(one.remedy, 300)),
        )
        for one in ill[:_ROWS]
    ]
    table = _table(("data source", "env", "from", "since (UTC)", "cause", "what to do"), rows)
    return f"## Sick\n\n{table}" + _more(len(ill) - _ROWS)


def _matrix(verdicts: Sequence[Verdict]) -> str:
    cells: defaultdict[str, dict[tuple[str, str], Verdict]] = defaultdict(dict)
    for one in verdicts:
        cells[_name(one)][one.env, one.resource_group] = one
    columns = sorted({place for row in cells.values() for place in row})
    shown, note = sorted(cells), ""
    if len(shown) > _MATRIX:
        ill = [name for name in shown if any(not one.connectable for one in cells[name].values())]
        note = f"\n\n{len(shown) - len(ill)} of {len(shown)} data sources are all Connectable and not shown." + _more(
            len(ill) - _ROWS
        )
        shown = ill[:_ROWS]
    rows = [(_text(name), *(_cell(cells[name].get(place)) for place in columns)) for name in shown]
    heads = ("data source", *(f"{env} from {_text(group)}" for env, group in columns))
    return "## Every data source\n\n" + _table(heads, rows) + note if rows else f"## Every data source{note}"


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return f"{MARKS[verdict.state]} {_code(verdict.cause) if verdict.cause else ''}".rstrip()


def _trend(points: Sequence[Point]) -> str:
    if len(points) < 2:
        return ""
    worst = max(point.sick for point in points)
    picture = base64.b64encode(trend_svg(points).encode()).decode()
    return f"![Sick checks over the last {len(points)} runs, at most {worst}](data:image/svg+xml;base64,{picture})"


def trend_svg(points: Sequence[Point], *, width: int = 720, height: int = 120) -> str:
    """A bar a round: how many of its checks were sick."""
    top = max(1, *(point.sick for point in points))
    step = min(24.0, (width - 40) / len(points))
    bars = []
    for index, point in enumerate(points):
        tall = (height - 40) * point.sick / top
        colour, tall = ("#d1242f", tall) if point.sick else ("#1a7f37", 2.0)
        bars.append(
            f'<rect x="{40 + index * step:.1f}" y="{height - 20 - tall:.1f}" width="{max(1.0, step - 2):.1f}" '
            f'height="{tall:.1f}" fill="{colour}"><title>{_moment(point.at.isoformat())}: {point.sick} of '
            f"{point.total}</title></rect>"
        )
    words = 'font-family="sans-serif" font-size="11" fill="#57606a"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<text x="0" y="12" {words}>sick checks a run</text><text x="30" y="30" text-anchor="end" {words}>{top}</text>'
        f'<text x="30" y="{height - 20}" text-anchor="end" {words}>0</text>'
        f'<line x1="40" y1="{height - 20}" x2="{width}" y2="{height - 20}" stroke="#9aa0a6"/>{"".join(bars)}'
        f'<text x="40" y="{height - 5}" {words}>{_moment(points[0].at.isoformat())}</text>'
        f'<text x="{width}" y="{height - 5}" text-anchor="end" {words}>{_moment(points[-1].at.isoformat())}</text>'
        "</svg>"
    )


# --- words and cells ------------------------------------------------------------------------------------------------


def _name(verdict: Verdict) -> str:
    return f"{verdict.workspace}/{verdict.source}"


def _place(verdict: Verdict) -> tuple[str, str, str, str]:
    return verdict.workspace, verdict.source, verdict.env, verdict.resource_group


def _sign(ill: Sequence[Verdict]) -> str:
    return MARKS[State.UNREACHABLE] if ill else MARKS[State.CONNECTABLE]


def _verdict(ill: Sequence[Verdict], verdicts: Sequence[Verdict]) -> str:
    return f"{len(ill)} of {len(verdicts)} not Connectable" if ill else "all Connectable"


def _states(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(one.state for one in verdicts)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state]) or "nothing checked"


def _more(count: int) -> str:
    return f"\n\n{count} more are not shown." if count > 0 else ""


def _size(parts: Iterable[str]) -> int:
    return sum(len(part.encode()) + 2 for part in parts)


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S UTC")


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M").replace(" ", "\u00a0").replace("-", "\u2011")


def _flat(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(text: object) -> str:
    """One line without control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())


_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


def _text(text: object) -> str:
    """Text that stays text in markdown, in a table's cell too."""
    return _MARKUP.sub(r"\\\1", _cut(_plain(text), 1000))


def _code(text: object) -> str:
    """Text in a fixed-width face: inside of it nothing but its own fence and a cell's bar has a meaning."""
    plain = _cut(_plain(text), 300).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    pad = " " if "`" in plain or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}" if plain else ""


_RULES = {"l": "---", "r": "--:"}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "") -> str:
    rules = [_RULES[side] for side in align or "l" * len(heads)]
    lines = [heads, rules, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
