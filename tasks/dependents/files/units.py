"""Files as units: read whole, replaced in one step, and only when they hold what is expected of them.

Names of files are strings here: of thousands of small files, a Path takes as long as the reading.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator

from registry.errors import Conflict, HeadwaterError, NotFound
from tasks.dependents import Content, UnitMoved


def content(text: str) -> Content:
    """A text with its fingerprint."""
    return Content(text, hashlib.sha256(text.encode()).hexdigest())


def read(unit: str) -> Content:
    """What a file holds.

    Raises:
        NotFound: There is no such file.
        HeadwaterError: It can't be read, or is no UTF-8 text.
    """
    try:
        with open(unit, "rb") as file:
            return content(file.read().decode())
    except FileNotFoundError:
        raise NotFound("the file is gone", where=unit, instruction="scan again") from None
    except UnicodeDecodeError:
        raise HeadwaterError("the file is no UTF-8 text", where=unit) from None
    except OSError as error:
        raise _failed("read", unit, error) from None


def replace(unit: str, before: Content, after: Content) -> None:
    """Make a file hold `after`; its mode, owner and attributes stay. Whoever reads it sees either, never a mixture.

    It is written beside itself under a name that is locked while this lasts, and taken over by the next attempt when
    this one is killed.

    Raises:
        UnitMoved: It holds neither `before` nor `after`.
        Conflict: Another process is replacing it right now.
        HeadwaterError: It can't be written, or not without giving it another owner.
    """
    path = os.path.realpath(unit)
    try:
        if not _due(unit, before, after):
            return
        if not os.access(path, os.W_OK):
            raise HeadwaterError("the file is read-only", where=unit, instruction="make it writable, or leave it out")
        with _beside(path) as (descriptor, temporary):
            _fill(descriptor, after.text.encode(), path)
            if _due(unit, before, after):
                os.replace(temporary, path)
                _settle(os.path.dirname(path))
    except OSError as error:
        raise _failed("write", unit, error) from None


def _due(unit: str, before: Content, after: Content) -> bool:
    """Whether there is anything to do."""
    now = read(unit).fingerprint
    if now not in (before.fingerprint, after.fingerprint):
        raise UnitMoved("somebody else has changed the file", where=unit, instruction="plan again")
    return now != after.fingerprint


@contextlib.contextmanager
def _beside(path: str) -> Iterator[tuple[int, str]]:
    """An empty file beside another one that nobody else writes."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.headwater")
    descriptor = _locked(temporary, path)
    try:
        yield descriptor, temporary
    finally:
        if _same(descriptor, temporary):
            os.unlink(temporary)
        os.close(descriptor)


def _locked(temporary: str, path: str) -> int:
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict("another process is replacing the file", where=path, instruction="try again") from None
        found = os.fstat(descriptor)
        if _same(descriptor, temporary):
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid():
                os.ftruncate(descriptor, 0)
                return descriptor
            os.unlink(temporary)  # somebody's trap: a pipe, or another file under a second name
        os.close(descriptor)


def _same(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _fill(descriptor: int, data: bytes, model: str) -> None:
    """Write, with mode, owner and attributes of another file, down to the disk."""
    found = os.stat(model)
    mine = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
    with contextlib.suppress(OSError):  # a file system without attributes; those of a security module are its own
        for name in os.listxattr(model):
            os.setxattr(descriptor, name, os.getxattr(model, name))
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _settle(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(doing: str, unit: str, error: OSError) -> HeadwaterError:
    return HeadwaterError(f"can't {doing} the file: {error.strerror or type(error).__name__}", where=unit)
