"""The path of one verdict as a mermaid flowchart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from registry.verdict import Stage, Status, Verdict
from tasks.report import markdown

#: What a stage that passed has reached: the label of the next stop.
_STOPS: Mapping[str, Callable[[Verdict, Mapping[str, Any]], str]] = {
    "config": lambda verdict, seen: "configuration",
    "credentials": lambda verdict, seen: "credentials",
    "instance": lambda verdict, seen: "cloud instance",
    "resolve": lambda verdict, seen: markdown.flat(seen.get("addresses") or seen.get("name") or "address"),
    "route": lambda verdict, seen: f"way out {seen.get('source_address', '')}".strip(),
    "connect": lambda verdict, seen: f"{seen.get('address', 'host')}:{seen.get('port', '')}".rstrip(":"),
    "greet": lambda verdict, seen: verdict.type,
    "tls": lambda verdict, seen: markdown.flat(seen.get("version") or "TLS"),
    "admit": lambda verdict, seen: "admitted",
    "login": lambda verdict, seen: "logged in",
    "target": lambda verdict, seen: markdown.flat(seen.get("database") or "target"),
    "privilege": lambda verdict, seen: "readable",
}
#: These are stops only where they failed.
_SILENT = ("config", "credentials")
_CLASSES = (
    "  classDef start fill:#ddf4ff,stroke:#0969da,color:#0a3069",
    "  classDef reached fill:#dafbe1,stroke:#1a7f37,color:#0f3d1f",
    "  classDef broken fill:#ffebe9,stroke:#d1242f,stroke-width:3px,color:#82071e",
    "  classDef beyond fill:#f6f8fa,stroke:#9aa0a6,stroke-dasharray:4,color:#57606a",
)


def path(verdict: Verdict) -> str:
    """The way from the resource group to the data, as a mermaid flowchart with the broken hop marked."""
    lines = ["flowchart TD", f"  here([{label(verdict.resource_group)}])"]
    previous, broken = "here", False
    classes: defaultdict[str, list[str]] = defaultdict(list, start=["here"])
    links: list[str] = []
    for stage in _hops(verdict.stages):
        seen = stage.evidence
        lines.append(f"  {stage.name}[{label(_STOPS[stage.name](verdict, seen))}]")
        if stage.status is Status.FAILED:
            broken = True
            arrow, kind = f"-. {label(f'✖ {stage.name}: {verdict.cause}')} .->", "broken"
            links.append(f"  linkStyle {len(links)} stroke:#fa4549,stroke-width:3px,color:#d1242f")
        elif broken:
            arrow, kind = "-.-", "beyond"
            links.append(f"  linkStyle {len(links)} stroke:#9aa0a6")
        else:
            arrow, kind = f"-- {label(f'{stage.name} {markdown.ms(stage.elapsed_ms)} ms')} -->", "reached"
            links.append(f"  linkStyle {len(links)} stroke:#2da44e")
        lines.append(f"  {previous} {arrow} {stage.name}")
        classes[kind].append(stage.name)
        previous = stage.name
    return "\n".join([*lines, *links, *_CLASSES, *(f"  class {','.join(ids)} {name}" for name, ids in classes.items())])


def drawing(verdict: Verdict) -> str:
    """The path, as markdown has it."""
    return f"```mermaid\n{path(verdict)}\n```"


def _hops(stages: Sequence[Stage]) -> list[Stage]:
    """The stages that ran, and after a failure those that would have come."""
    failed = next((index for index, stage in enumerate(stages) if stage.status is Status.FAILED), len(stages))
    before = [stage for stage in stages[:failed] if stage.status is not Status.SKIPPED and stage.name not in _SILENT]
    wanted = ("connect", "login", "target")
    after = [stage for stage in stages[failed + 1 :] if stage.name in wanted]
    return [*before, *stages[failed : failed + 1], *after]


def label(text: object) -> str:
    """A quoted label; everything that mermaid could read as syntax stands as an entity."""
    short = markdown.cut(markdown.flat(text), 48)
    return '"' + "".join(char if char.isalnum() or char in " .:,_-/@✖•…" else f"#{ord(char)};" for char in short) + '"'
