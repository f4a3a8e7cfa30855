"""The guided tour: what was typed and said in a run; ids, moments and durations replaced, so that runs are alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.lab.lab import ROOT
from tests.lab.story.playing import Act, Played, Step

PAGE = ROOT / "docs" / "guided-tour.md"

_HEAD = """\
# A guided tour

A data source is registered, upgraded, lost, diagnosed, replaced, deleted and brought back, with two hundred Prefect
deployments and forty files hanging on it. Every line below was printed by a real run of `scripts/story`, which plays it
in network namespaces on one machine, with real databases, a real Prefect server and real workers. Only ids, moments and
durations are replaced, and long outputs are cut. `scripts/story --keep` leaves all of it standing for a look.
"""
#: (what varies between two runs, what stands on the page).
_VARYING: Sequence[tuple[str, str]] = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00|Z)?( UTC)?", "DATE"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?( \|)?", "TIME"),
    # What `prefect deployment run --watch` prints of every event.
    (r"^(●) +[\d:.]+ \S+ ", r"\1 "),
    (r"\bProcessWorker UUID\b", "ProcessWorker"),
    (r"\b\d+(\.\d+)? ms\b", "N ms"),
    (r"\b\d+(\.\d+)? s\b", "N s"),
    (r"\b\d+(\.\d+)?( units)? a second\b", "N a second"),
    (r"/\S*/story/shop/", ""),
)


def text(played: Sequence[Played], words: Mapping[str, str]) -> str:
    """The whole page."""
    acts = (_act(number, one, words) for number, one in enumerate(played, 1))
    return "\n".join([_HEAD, *acts])


def promised(acts: Sequence[Act]) -> list[str]:
    """The headings and commands that the page has, in their order."""
    return [line for number, act in enumerate(acts, 1) for line in _outline(number, act)]


def told(page: str) -> list[str]:
    """The headings and commands that a page has."""
    return re.findall(r"^(## .*|(?:\w+ )?\$ .*)$", page, re.MULTILINE)


def plain(said: str, words: Mapping[str, str]) -> str:
    """What stands on the page for what was said; the lines of a table keep their width."""
    varying = [*((re.escape(meant), name) for name, meant in words.items()), *_VARYING]
    return "\n".join(_plain(line, varying) for line in said.splitlines())


def _plain(line: str, varying: Sequence[tuple[str, str]]) -> str:
    in_table = "│" in line

    def replaced(found: re.Match[str], instead: str) -> str:
        new = found.expand(instead)
        return new.ljust(len(found[0])) if in_table else new

    for pattern, instead in varying:
        line = re.sub(pattern, lambda found, instead=instead: replaced(found, instead), line)
    return line


def _outline(number: int, act: Act) -> Iterator[str]:
    yield f"## {number}. {act.title}"
    yield from (_prompt(step) for step in act.steps)


def _prompt(step: Step) -> str:
    return f"$ {step.typed}" if step.at == "operator" else f"{step.at} $ {step.typed}"


def _act(number: int, one: Played, words: Mapping[str, str]) -> str:
    heading, *prompts = _outline(number, one.act)
    blocks = []
    for prompt, said, step in zip(prompts, one.said, one.act.steps, strict=True):
        shown = _cut(plain(said, words), step.shown)
        blocks.append(f"```console\n{prompt}\n{shown}".rstrip() + "\n```")
    parts = [heading, one.act.why, *blocks]
    if one.artifact:
        quoted = "\n".join(f"> {line}".rstrip() for line in _demoted(plain(one.artifact, words)).splitlines())
        parts += [f"What the flow leaves as artifact `{one.act.artifact}`:", quoted]
    return "\n\n".join(parts) + "\n"


def _demoted(markdown: str) -> str:
    """Headings below those of the page."""
    return re.sub(r"^(#+) ", r"##\1 ", markdown, flags=re.MULTILINE)


def _cut(said: str, lines: int) -> str:
    found = said.splitlines()
    if len(found) <= lines + 1:
        return said
    return "\n".join([*found[:lines], f"... {len(found) - lines} more lines"])


def write(page: str, path: Path = PAGE) -> None:
    """Keep it."""
    path.write_text(page)
