"""The git repositories that files lie in: which files are being edited, and commits of single files."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from registry.errors import HeadwaterError

#: How long one call of git may take, in seconds; a commit runs the repository's own hooks.
LONGEST = 120.0
#: How often a commit is tried while another process works on the repository, and the pause between, in seconds.
_TRIES, _PAUSE = 20, 0.25
#: What would point git at another repository than the one of the file.
_MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


def repository(path: Path) -> Path | None:
    """The top folder of the working tree that a file lies in."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


class Edited:
    """Which files have changes that are not committed, as of when their repository was looked at first."""

    def __init__(self) -> None:
        self._roots = dict[Path, Path | None]()
        self._edited = dict[Path, frozenset[str]]()

    def by(self, path: Path) -> str:
        """Who seems to be editing a file; empty: nobody."""
        if path.parent not in self._roots:
            self._roots[path.parent] = repository(path)
        root = self._roots[path.parent]
        if root is None:
            return ""
        if root not in self._edited:
            self._edited[root] = _edited(root)
        if path.relative_to(root).as_posix() not in self._edited[root]:
            return ""
        return f"{_owner(path)} (changes that are not committed)"


def commit(path: Path, message: str) -> None:
    """Commit one file as it is now, and nothing else. Nothing where no repository keeps it, or it has no change.

    A commit that is refused leaves the index as it was: what takes the change back has nothing to commit then.

    Raises:
        HeadwaterError: git refuses.
    """
    path = path.resolve()
    root = repository(path)
    if root is None:
        return
    name = f":(top,literal){path.relative_to(root).as_posix()}"
    if _git(root, "status", "--porcelain", "-z", "--untracked-files=no", "--", name).stdout:
        _insist(root, path, "commit", "--quiet", f"--message={message}", "--only", "--", name)


def _insist(root: Path, path: Path, *words: str) -> None:
    """Run git, again while another process has its index."""
    for attempt in range(_TRIES):
        done = _git(root, *words)
        if done.returncode == 0:
            return
        if b"index.lock" not in done.stderr or attempt == _TRIES - 1:
            break
        time.sleep(_PAUSE)
    told = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
    last = told.splitlines()[-1][:300] if told else f"it ended with {done.returncode}"
    raise HeadwaterError(f"git {words[0]} refused: {last}", where=str(path), instruction=f"look at it in {root}")


def _edited(root: Path) -> frozenset[str]:
    done = _git(root, "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames")
    return frozenset(entry[3:].decode(errors="surrogateescape") for entry in done.stdout.split(b"\0") if entry)


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run git. Nothing that a repository sets is run for looking at it."""
    settings = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
    settings |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *words]
    try:
        return subprocess.run(  # noqa: S603  words of this module and one path, and no shell
            command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"git is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, b"", b"it took too long")


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "somebody"
