"""The unified diff of a unit in which names change and nothing else: exact lines, of each only what is safe to show.

A unit may hold the secrets of others, on the very line of a name where it is written without line breaks. So a line is
shown as it is where it is a name behind the keys that its place tells, and elsewhere as the name between two ellipses.
JSON that is one line, such as what a deployment holds, has no lines to tell: there each name is shown with its pointer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

from tasks.dependents import Rename
from tasks.dependents.files import pointers

_HIDDEN = "…"
#: What may stand before a name: indentation, list marks, the keys that lead to it, an opening quote.
_KEY = re.compile(r"""["']?([A-Za-z_][\w.-]*)["']?\s*[:=]\s*""")
_BEFORE = re.compile(rf"""[\s{{,\[-]*(?:{_KEY.pattern}[{{\[\s]*)*["']?""")
#: What may stand behind it.
_BEHIND = re.compile(r"""["']?[\s,\]}]*""")


def called(unit: str, dependents: Iterable[tuple[str, str]]) -> str:
    """A unit as people know it: `deployment flow/name (id)` where its id is the key of a dependent in it. Pure.

    Args:
        dependents: (key, name) of those in it.
    """
    kind, _, id_ = unit.partition(":")
    name = dict(dependents).get(id_)
    return _plain(f"{kind} {name} ({id_})") if name else unit


def diff(unit: str, before: str, after: str, renames: Sequence[Rename]) -> str:
    """The unified diff, without lines of context. Pure.

    Args:
        unit: What the unit is called.
        before, after: The text of the unit; `after` is `before` with these names changed.
    """
    hunks = [*(_by_pointers(before, after, renames) or _by_lines(before, after, renames))] if before != after else []
    return "\n".join([f"--- {unit}", f"+++ {unit}", *hunks]) if hunks else ""


def _by_pointers(before: str, after: str, renames: Sequence[Rename]) -> list[str]:
    """Each name below its pointer, in JSON that is one line; empty where a name does not stand where it is said to."""
    if before[:1] not in ("{", "[") or "\n" in before.strip():
        return []
    found = []
    try:
        old, new = json.loads(before), json.loads(after)
        for pointer, was, now in dict.fromkeys((one.place.pointer, one.old, one.new) for one in renames):
            if (_at(old, pointer), _at(new, pointer)) != (was, now):
                return []
            found += [f"@@ {_plain(pointer)} @@", f"-{_plain(was)}", f"+{_plain(now)}"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
    return found


def _at(document: Any, pointer: str) -> Any:
    """What a pointer leads to, also into JSON text within a value. Raises: ValueError, LookupError, TypeError."""
    for depth, level in enumerate(pointers.read(pointer)):
        document = json.loads(document) if depth else document
        for key in level:
            document = document[int(key) if isinstance(document, list) else key]
    return document


def _plain(text: str) -> str:
    """On one line, whatever a name or key may hold."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _by_lines(before: str, after: str, renames: Sequence[Rename]) -> Iterator[str]:
    pairs = sorted({(one.old, one.new) for one in renames}, key=lambda pair: -len(pair[0]))
    keys = {token for one in renames for token in one.place.pointer.split("/")}
    for number, (old, new) in enumerate(zip(before.splitlines(), after.splitlines(), strict=False), start=1):
        if old != new:
            yield from _hunk(number, old, new, pairs, keys)


def _hunk(number: int, old: str, new: str, pairs: Sequence[tuple[str, str]], keys: Set[str]) -> Iterator[str]:
    yield f"@@ -{number} +{number} @@"
    places = [*_places(old, new, pairs)]
    yield "-" + _shown(old, [(start, start + len(was)) for start, _, was, _ in places], keys)
    yield "+" + _shown(new, [(start, start + len(now)) for _, start, _, now in places], keys)


def _places(old: str, new: str, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, int, str, str]]:
    """Where names change in a line: (start in the old one, start in the new one, old name, new name)."""
    here = there = 0
    while old[here:] != new[there:]:
        same = _common(old[here:], new[there:])
        here, there = here + same, there + same
        found = next((pair for pair in pairs if _stands(old, new, here, there, *pair)), None)
        if found is None:
            return  # written otherwise than plainly: the line is told, and nothing of it shown
        back = _common(*found)
        yield here - back, there - back, *found
        here, there = here - back + len(found[0]), there - back + len(found[1])


def _stands(old: str, new: str, here: int, there: int, was: str, now: str) -> bool:
    back = _common(was, now)
    fits = here >= back and old.startswith(was, here - back) and new.startswith(now, there - back)
    return fits and (old[here - back :] != new[there - back :])


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike; by halves, because lines may be whole files."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _shown(line: str, names: Sequence[tuple[int, int]], keys: Set[str]) -> str:
    if not names:
        return _HIDDEN
    parts, at = [], 0
    for start, end in names:
        between = line[at:start]
        shown = not at and _BEFORE.fullmatch(between) and all(key in keys for key in _KEY.findall(between))
        parts += [between if shown else _HIDDEN, line[start:end]]
        at = end
    rest = line[at:]
    return "".join([*parts, rest if _BEHIND.fullmatch(rest) else _HIDDEN])
