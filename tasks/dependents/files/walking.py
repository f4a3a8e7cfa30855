"""The files of a scan, and the texts of those that can matter: found without reading more than that takes."""

from __future__ import annotations

import codecs
import mmap
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from registry.errors import NotFound
from tasks.dependents import Place, Unread

#: Larger files are not read, in bytes.
LARGEST = 32 * 1024 * 1024
#: How a text of another encoding begins, the longest first.
_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
#: Folders of version control.
_NOT_ENTERED = frozenset({".git", ".hg", ".svn"})


def files(
    roots: Sequence[str], endings: Collection[str], keywords: Sequence[bytes] = (b"",), *, hidden: bool = True
) -> Iterator[Path | Unread]:
    """Files with these endings under folders, or named themselves, each once and in order; and folders that are closed.

    Links are not followed, beyond a root that is one; those that lead to where nothing is scanned are told.

    Args:
        endings: In lower case, with the dot.
        keywords: A file without any of these does not matter.
        hidden: Whether to look at what begins with a dot.

    Raises:
        NotFound: A root is not there.
    """
    starts = [(root, Path(root).expanduser().resolve()) for root in roots]
    for root, start in starts:
        if not start.exists():
            raise NotFound("there is no such file or folder", where=root, instruction="check the path")
    inside = [start for _, start in starts]
    seen = set[Path | Unread]()
    for start in inside:
        for found in _under(start, endings, hidden) if start.is_dir() else [start]:
            one = found
            if isinstance(found, Path) and found.is_symlink():
                leads = _out(found, inside, keywords)
                if leads is None:
                    continue
                one = leads
            if one not in seen:
                seen.add(one)
                yield one


def _out(link: Path, inside: Sequence[Path], keywords: Sequence[bytes]) -> Unread | None:
    """What a link leads to where it leaves all that is scanned, and can matter."""
    try:
        target = link.resolve()
        there = target.exists()
    except RuntimeError:  # links in a circle: there is nothing
        return None
    except OSError as error:
        return _unread(link, "", f"a link that can't be followed: {error.strerror}")
    if any(target.is_relative_to(start) for start in inside) or not there:
        return None
    if not target.is_dir() and text(target, keywords) is None:
        return None
    return _unread(link, "", f"a link to where nothing is scanned, which is not followed: scan {target}")


def _under(folder: Path, endings: Collection[str], hidden: bool) -> Iterator[Path | Unread]:
    closed = list[OSError]()
    for at, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if name not in _NOT_ENTERED and (hidden or name[0] != "."))
        yield from (path for path in (Path(at, name) for name in folders) if path.is_symlink())
        for name in sorted(names):
            wanted = os.path.splitext(name)[1].lower() in endings  # noqa: PTH122  a Path for each file takes long
            if wanted and (hidden or name[0] != "."):
                yield Path(at, name) if _is_text(at + name) else _nameless(Path(at, name))
    for error in closed:
        yield Unread(Place(str(error.filename or folder), ""), f"the folder can't be read: {error.strerror}")


def _is_text(path: str) -> bool:
    """Whether a path can be kept; a name on a disk may be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nameless(path: Path) -> Unread:
    shown = os.fsencode(path).decode(errors="replace")
    return Unread(Place(shown, ""), "its path is no UTF-8 text: give it another name")


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
    if b"\0" in data:
        return _encoded(path, data, keywords)
    if not any(word in data for word in keywords):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        return _unread(path, f"{line}:{column}", "no UTF-8 text")


def _encoded(path: Path, data: bytes, keywords: Sequence[bytes]) -> Unread | None:
    """What another encoding than UTF-8 hides; None: nothing, or the file is binary."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    if not encoding:
        return None
    plain = data.decode(encoding, errors="replace").encode(errors="replace")
    matters = any(word in plain for word in keywords)
    return _unread(path, "1:1", f"no UTF-8 text, but {encoding}") if matters else None


def _unread(path: Path, pointer: str, reason: str) -> Unread:
    return Unread(Place(str(path), pointer), reason)
