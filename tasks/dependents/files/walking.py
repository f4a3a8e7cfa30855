"""The files of a scan, and the texts of those that can matter: found without reading more than that takes."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from registry.errors import NotFound
from tasks.dependents import Place, Unread

#: Larger files are not read, in bytes.
LARGEST = 32 * 1024 * 1024
#: Folders of version control.
_NOT_ENTERED = frozenset({".git", ".hg", ".svn"})


def files(roots: Sequence[str], endings: Collection[str], *, hidden: bool = True) -> Iterator[Path | Unread]:
    """Files with these endings under folders, or named themselves, each once and in order; and folders that are closed.

    Links are not followed, beyond a root that is one.

    Args:
        endings: In lower case, with the dot.
        hidden: Whether to look at what begins with a dot.

    Raises:
        NotFound: A root is not there.
    """
    seen = set[Path]()
    for root in roots:
        start = Path(root).expanduser().resolve()
        if not start.exists():
            raise NotFound("there is no such file or folder", where=root, instruction="check the path")
        for found in _under(start, endings, hidden) if start.is_dir() else [start]:
            if isinstance(found, Unread):
                yield found
            elif found not in seen:
                seen.add(found)
                yield found


def _under(folder: Path, endings: Collection[str], hidden: bool) -> Iterator[Path | Unread]:
    closed = list[OSError]()
    for at, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if name not in _NOT_ENTERED and (hidden or name[0] != "."))
        for name in sorted(names):
            wanted = os.path.splitext(name)[1].lower() in endings  # noqa: PTH122  a Path for each file takes long
            if wanted and (hidden or name[0] != "."):
                yield Path(at, name)
    for error in closed:
        yield Unread(Place(str(error.filename or folder), ""), f"the folder can't be read: {error.strerror}")


def text(path: Path, keywords: Sequence[bytes]) -> str | Unread | None:
    """The text of a file that has one of the keywords; None: it has none, is binary, or no regular file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return None if path.is_symlink() else _unread(path, "", f"the file can't be read: {error.strerror}")
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or not about.st_size:
            return None
        if about.st_size > LARGEST:
            with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as large:
                matters = any(large.find(word) >= 0 for word in keywords)
            return _unread(path, "", f"larger than {LARGEST >> 20} MiB") if matters else None
        data = file.read()
    if b"\0" in data or not any(word in data for word in keywords):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        return _unread(path, f"{line}:{column}", "no UTF-8 text")


def _unread(path: Path, pointer: str, reason: str) -> Unread:
    return Unread(Place(str(path), pointer), reason)
