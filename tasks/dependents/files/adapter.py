"""What every adapter for files does: everything but finding names in a text and changing them there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self

from registry.errors import HeadwaterError, InvalidInput
from tasks import lanes
from tasks.dependents import Content, FoundDependent, NotRewritable, Place, Rename, Scope, Unread
from tasks.dependents.files import git, units, walking
from tasks.dependents.files.texts import Malformed

#: Option -> the environment variable that gives it where a scope does not, and what it is.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "commit": ("HEADWATER_FILES_COMMIT", "yes: each changed file is committed in its repository, by itself"),
    "deploy": ("HEADWATER_FILES_DEPLOY", "the command that deploys a file; {path}, {folder} and {name} stand for it"),
    "smoke": (
        "HEADWATER_FILES_SMOKE",
        "the command that runs work once which declares a smoke run; {id} is the work's",
    ),
    "hidden": ("HEADWATER_FILES_HIDDEN", "no: files and folders that begin with a dot are passed over"),
    "env": ("HEADWATER_FILES_ENV", "where work runs whose file does not say: prod or dev"),
}
#: How long a command may take, in seconds.
LONGEST_COMMAND = 600.0
#: What the registry keeps of a dependent's key and of a source's name, and what is shown of either, in characters.
_LONGEST_KEY, _LONGEST_NAME, _SHOWN = 800, 255, 200
#: Files that are read between two breaths of the event loop.
_BATCH = 64

#: Escapes that may stand for what no registry keeps and no terminal shows: half of a pair of surrogates, and NUL.
_ODD = re.compile(r"\\(?:u(?:[dD][89a-fA-F]|0000)|x00|0)")

_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})

#: What is found in one text.
Found = Iterable[FoundDependent | Unread]
#: Finds the dependents in a file: (file, text) -> found.
Look = Callable[[Path, str], Found]


@dataclass(frozen=True)
class FileAdapter(ABC):
    """An adapter whose units are files.

    Attributes:
        options: See `OPTIONS`; what is not in here is taken from the environment.
    """

    name: ClassVar[str]
    #: Endings of the files that it looks at.
    endings: ClassVar[frozenset[str]]
    #: A file without any of these is not read.
    keywords: ClassVar[tuple[bytes, ...]]
    blocking: ClassVar[bool] = True

    options: Mapping[str, str] = field(default_factory=dict)

    @abstractmethod
    def look(self, scope: Scope) -> Look:
        """What finds the dependents in one file after the other, during one scan."""

    @abstractmethod
    def renamed(self, text: str, renames: Sequence[Rename]) -> str:
        """The text of a unit with these names changed.

        Raises:
            NotRewritable: One of them can't be.
        """

    @abstractmethod
    def parse(self, unit: str, text: str) -> None:
        """Raises: Malformed: The text is not what a unit of this name should hold."""

    def configured(self, options: Mapping[str, str]) -> Self:
        """The adapter with these options, as a scope has them."""
        return replace(self, options={**self.options, **options})

    def option(self, name: str, default: str = "") -> str:
        """The value of an option."""
        return self.options.get(name) or os.environ.get(OPTIONS[name][0]) or default

    def says(self, name: str, default: bool) -> bool:
        """The value of an option that is yes or no.

        Raises:
            InvalidInput: It is neither.
        """
        word = self.option(name, "yes" if default else "no").lower()
        if word not in _YES | _NO:
            raise InvalidInput(f"{word!r} is neither yes nor no", where=name, instruction=f"write {name}=yes")
        return word in _YES

    def env(self) -> str:
        """Where work runs whose file does not say. Raises: InvalidInput."""
        found = self.option("env", "prod")
        if found not in ("dev", "prod"):
            raise InvalidInput(f"{found!r} is no environment", where="env", instruction="write env=dev or env=prod")
        return found

    async def scan(self, scope: Scope) -> AsyncIterator[FoundDependent | Unread]:
        """Everything under the roots that names a data source, and every file that could not be read.

        Raises:
            NotFound: A root is not there.
        """
        told = self.configured(scope.options)
        paths = walking.files(scope.roots, self.endings, self.keywords, hidden=told.says("hidden", True))
        look = await asyncio.to_thread(told.look, scope)
        while (found := await asyncio.to_thread(told.some, look, paths)) is not None:
            for one in found:
                yield one

    def some(self, look: Look, paths: Iterator[Path | Unread]) -> list[FoundDependent | Unread] | None:
        """What the next files hold; None: there are no more."""
        batch = [*islice(paths, _BATCH)]
        return [*self._all(look, batch)] if batch else None

    def _all(self, look: Look, paths: Iterable[Path | Unread]) -> Found:
        for path in paths:
            if isinstance(path, Unread):
                yield path
                continue
            text = walking.text(path, self.keywords)
            if isinstance(text, Unread):
                yield text
            elif text is not None:
                yield from _read(look, path, text)

    async def read(self, unit: str) -> Content:
        """What a file holds. Raises: HeadwaterError: It is gone, or out of reach."""
        return await lanes.call(units.read, unit)

    def rewrite(self, content: Content, renames: Sequence[Rename]) -> Content:
        """The file with these names changed and nothing else. Raises: NotRewritable."""
        if not renames:
            return content
        try:
            return units.content(self.renamed(content.text, renames))
        except (Malformed, RecursionError):
            unit = renames[0].place.unit
            raise NotRewritable("the file can't be read any more", where=unit, instruction="scan again") from None

    async def write(self, unit: str, before: Content, after: Content) -> None:
        """Replace a file in one step, keeping its mode and owner. Raises: UnitMoved."""
        await lanes.call(units.replace, unit, before, after)

    async def submit(self, unit: str, message: str) -> None:
        """Commit the file, where `commit` says so and it lies in a repository. Raises: HeadwaterError."""
        if self.says("commit", False):
            await lanes.call(git.commit, Path(unit), message or f"Repoint {Path(unit).name}")

    async def deploy(self, unit: str) -> None:
        """Run the command that `deploy` gives, without a shell. Raises: HeadwaterError: It fails or takes too long."""
        if template := self.option("deploy"):
            await _run(_command("deploy", template, Path(unit)), Path(unit))

    async def verify(self, unit: str, expected: Content) -> str | None:
        """Whether the file holds what was written; where it does not, whether it can be read at all."""
        try:
            now = await self.read(unit)
            if now.fingerprint == expected.fingerprint:
                return None
            self.parse(unit, now.text)
        except Malformed as problem:
            return f"{unit}:{problem.line}:{problem.column}: {problem.reason}"
        except HeadwaterError as problem:
            return str(problem)
        return f"{unit} holds something else than was written"

    async def smoke(self, unit: str, details: Mapping[str, Any]) -> str | None:
        """Run the command that `smoke` gives, where a dependent declares a smoke run: None, or why it went wrong."""
        if not details.get("smoke"):
            return None
        template = self.option("smoke")
        if not template:
            return f"it declares a smoke run, and no command for it is given: set {OPTIONS['smoke'][0]}"
        try:
            await _run(_command("smoke", template, Path(unit), str(details.get("id", ""))), Path(unit))
        except HeadwaterError as problem:
            return problem.reason
        return None


def _read(look: Look, path: Path, text: str) -> list[FoundDependent | Unread]:
    try:
        is_odd = bool(_ODD.search(text))
        return [_kept(one, is_odd) for one in look(path, text)]
    except Malformed as problem:
        return [Unread(Place(str(path), f"{problem.line}:{problem.column}"), problem.reason)]
    except RecursionError:
        return [Unread(Place(str(path), ""), "it is too deep to be read")]


def _kept(one: FoundDependent | Unread, is_odd: bool) -> FoundDependent | Unread:
    """What was found, unless no registry can keep it; `is_odd` where its characters have to be looked at."""
    if not isinstance(one, FoundDependent):
        return one
    plain = one.key.encode(errors="replace").decode().replace("\0", "?")
    if len(one.key) > _LONGEST_KEY or any(len(use.source) > _LONGEST_NAME for use in one.references):
        return Unread(Place(one.unit[:_LONGEST_KEY], ""), f"{plain[:_SHOWN]}... has a name or a path that is too long")
    if is_odd and _ODD.search(repr(asdict(one)).replace("\\\\", "")):
        return Unread(
            Place(one.unit, ""), f"{plain[:_SHOWN]} holds characters that are no text: half of a pair, or NUL"
        )
    return one


def _command(option: str, template: str, path: Path, identity: str = "") -> list[str]:
    stands = {"{path}": str(path), "{folder}": str(path.parent), "{name}": path.name, "{id}": identity}
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise InvalidInput(f"no command: {error}", where=option, instruction="check its quotes") from None
    if not words:
        raise InvalidInput(
            "the command is empty", where=option, instruction=f"for example: {option}='./deploy {{path}}'"
        )
    marks = re.compile("|".join(map(re.escape, stands)))
    return [marks.sub(lambda mark: stands[mark[0]], word) for word in words]


async def _run(command: Sequence[str], path: Path) -> None:
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=path.parent, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError as error:
        raise HeadwaterError(f"can't run {command[0]}: {error.strerror}", where=str(path)) from None
    try:
        code = await asyncio.wait_for(process.wait(), LONGEST_COMMAND)
    except (TimeoutError, asyncio.CancelledError) as ended:
        _kill(process)
        await process.wait()
        if isinstance(ended, asyncio.CancelledError):
            raise
        raise HeadwaterError(f"{command[0]} took longer than {LONGEST_COMMAND:g} s", where=str(path)) from None
    if code:
        raise HeadwaterError(f"{command[0]} ended with {code}", where=str(path), instruction=shlex.join(command))


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
