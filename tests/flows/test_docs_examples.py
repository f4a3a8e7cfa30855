"""The console examples of the documentation: each command runs, and says what stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.cli_support import CommandLine

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("delete.md", "import.md", "sharing.md", "upgrade.md")
_ID = re.compile(r"\b(?:[0-9a-f]{16}|[0-9a-f]{32})\b")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def examples(page: str) -> Iterator[tuple[list[str], str]]:
    """(arguments, what it prints; empty: not told) of each command."""
    for block in blocks(page, "console"):
        for part in block.split("$ headwater ")[1:]:
            command, _, said = part.partition("\n")
            yield shlex.split(command), said


def files(page: str) -> list[tuple[str, str]]:
    """What a page gives to the commands: the name of each file, told in the sentence before it, and its text."""
    pattern = r"`([\w.]+)`:\n\n```(?:csv|json|pem)\n(.*?)^```$"
    return re.findall(pattern, (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def plain(text: str) -> str:
    return _DATE.sub("DATE", _ID.sub("ID", text))


@pytest.mark.parametrize("page", PAGES)
def test_every_example_does_what_it_says(page: str, cli: CommandLine) -> None:
    cli.write("shop.yaml", blocks(page, "yaml")[0])
    for name, text in files(page):
        cli.write(name, text)
    plan = ""
    for arguments, said in examples(page):
        done = cli(*(plan if one == "PLAN" else one for one in arguments))
        assert "Traceback" not in done.err, done.err
        shown = plain(done.out) if done.out else plain(done.err)
        if said.startswith("headwater: "):
            assert done.status == 2, done
        lines = plain(done.out + done.err).splitlines() if "\n! " in f"\n{said}" else shown.splitlines()
        assert not said or lines == said.splitlines(), (arguments, done)
        plan = next(iter(re.findall(r"plan ([0-9a-f]{16})", done.err)), plan)
