"""JSON pointers (RFC 6901) that go on, after a `!`, into JSON text inside of a value. A `!` in a key is `~2`."""

from __future__ import annotations

from collections.abc import Sequence

#: The keys and indices that lead to a value of one document.
Path = tuple[str, ...]
#: One path, then one for each text inside of the value that the last one led to.
Levels = tuple[Path, ...]


def written(levels: Sequence[Path]) -> str:
    """The pointer."""
    return "!".join("".join(f"/{_escaped(key)}" for key in path) for path in levels)


def read(pointer: str) -> Levels:
    """The levels of a pointer."""
    return tuple(tuple(_unescaped(key) for key in level.split("/")[1:]) for level in pointer.split("!"))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1").replace("!", "~2")


def _unescaped(key: str) -> str:
    return key.replace("~2", "!").replace("~1", "/").replace("~0", "~")
