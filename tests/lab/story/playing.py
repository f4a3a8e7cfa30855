"""Acts, and how they are played: each command runs as it is typed, and must say what is expected of it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.lab.story.house import House

#: How long one command may take, in seconds; many others run beside it.
_LONGEST = 240


class StoryError(Exception):
    """The story went otherwise than it is told."""


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        typed: As it is typed; names in capitals that an earlier step captured stand for what that was.
        at: Who types it: `operator`, or the DBA at the `old` or the `new` database.
        sees: What must stand in the output.
        status: The exit status that it must have.
        captures: Name -> a pattern whose group is what the name stands for from now on.
        shown: Lines of the output that the page shows; the others are counted.
    """

    typed: str
    at: str = "operator"
    sees: Sequence[str] = ()
    status: int = 0
    captures: dict[str, str] = field(default_factory=dict)
    shown: int = 40


@dataclass(frozen=True)
class Act:
    """A part of the story.

    Attributes:
        name: What it is called in `--until`.
        title, why: What it shows; a sentence or two.
        steps: Its commands.
        proves: Raises AssertionError unless the world is as the act says.
        artifact: The key of a markdown artifact that a flow leaves, shown after the commands.
    """

    name: str
    title: str
    why: str
    steps: Sequence[Step]
    proves: Callable[[House], None]
    artifact: str = ""


@dataclass(frozen=True)
class Played:
    """An act that was played.

    Attributes:
        said: What each of its steps printed.
        artifact: What its flow left.
    """

    act: Act
    said: Sequence[str]
    artifact: str
    seconds: float


class Story:
    """Acts on their way.

    Attributes:
        words: Names in capitals -> what they stand for.
    """

    def __init__(self, house: House, acts: Sequence[Act]) -> None:
        self.house = house
        self.words: dict[str, str] = {}
        self.played: dict[str, Played] = {}
        self._acts = acts

    def until(self, name: str) -> Played:
        """Play what has not been played, up to this act. Raises: StoryError."""
        for act in self._rest():
            print(f"{act.title} ...", end="", file=sys.stderr, flush=True)
            played = self._play(act)
            print(f" {played.seconds:.1f} s", file=sys.stderr, flush=True)
            self.played[act.name] = played
            if act.name == name:
                break
        return self.played[name]

    def _rest(self) -> Iterator[Act]:
        return (act for act in self._acts if act.name not in self.played)

    def _play(self, act: Act) -> Played:
        begun = time.monotonic()
        said = [self._run(step) for step in act.steps]
        artifact = self.house.artifact(act.artifact) if act.artifact else ""
        try:
            act.proves(self.house)
        except AssertionError as error:
            raise StoryError(f"{act.title}: {error}") from error
        return Played(act, said, artifact, time.monotonic() - begun)

    def _run(self, step: Step) -> str:
        typed = re.sub(r"\b[A-Z]{4,}\b", lambda word: self.words.get(word[0], word[0]), step.typed)
        status, said = on_a_terminal(self.house, step.at, typed)
        missed = [one for one in step.sees if one not in said]
        if status != step.status or missed:
            wanted = "".join(f"\n  not said: {one}" for one in missed)
            raise StoryError(f"$ {typed}\n{said}\n  status {status}, expected {step.status}{wanted}")
        for name, pattern in step.captures.items():
            found = re.search(pattern, said)
            if found is None:
                raise StoryError(f"$ {typed}\n{said}\n  nothing is like {pattern}")
            self.words[name] = found[1]
        return said


def on_a_terminal(house: House, place: str, typed: str) -> tuple[int, str]:
    """Run a command with a terminal of its own: its status, and what stood there in the end.

    Raises:
        StoryError: It takes too long.
    """
    screen, end = pty.openpty()
    process = subprocess.Popen(
        house.command(place, typed), cwd=house.folder_of(place), env=house.environment(place),
        stdin=subprocess.DEVNULL, stdout=end, stderr=end,
    )  # fmt: skip
    os.close(end)
    ends = time.monotonic() + _LONGEST
    said = b""
    try:
        while chunk := _read(screen, ends):
            said += chunk
        return process.wait(max(0.0, ends - time.monotonic())), screened(said.decode(errors="replace"))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise StoryError(f"{typed} does not end:\n{said.decode(errors='replace')}") from None
    finally:
        process.kill()
        os.close(screen)
        process.wait()


def _read(screen: int, ends: float) -> bytes:
    """What is said next; nothing at the end. Raises: TimeoutError."""
    if not select.select([screen], [], [], max(0.0, ends - time.monotonic()))[0]:
        raise TimeoutError
    try:
        return os.read(screen, 65536)
    except OSError:  # how Linux says that nobody holds the other end any more
        return b""


def screened(said: str) -> str:
    """What a terminal keeps: no colours, no cursor, and of a line that was written over its last state."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    lines = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in plain.split("\n"))
    return "\n".join(lines).strip("\n")
