"""The unified diff of a unit in which names change and nothing else: exact lines, of each only what is safe to show.

A unit may hold the secrets of others, on the very line of a name where it is written without line breaks. So a line is
shown as it is where it is a name behind the keys that its place tells, and elsewhere as the name between two ellipses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

from tasks.dependents import Rename

_HIDDEN = "…"
#: What may stand before a name: indentation, list marks, the keys that lead to it, an opening quote.
_KEY = re.compile(r"""["']?([A-Za-z_][\w.-]*)["']?\s*[:=]\s*""")
_BEFORE = re.compile(rf"""[\s{{,\[-]*(?:{_KEY.pattern}[{{\[\s]*)*["']?""")
#: What may stand behind it.
_BEHIND = re.compile(r"""["']?[\s,\]}]*""")


def diff(unit: str, before: str, after: str, renames: Sequence[Rename]) -> str:
    """The unified diff, without lines of context. Pure.

    Args:
        before, after: The text of the unit; `after` is `before` with these names changed.
    """
    pairs = sorted({(one.old, one.new) for one in renames}, key=lambda pair: -len(pair[0]))
    keys = {token for one in renames for token in one.place.pointer.split("/")}
    hunks = [
        hunk
        for number, (old, new) in enumerate(zip(before.splitlines(), after.splitlines(), strict=False), start=1)
        if old != new
        for hunk in _hunk(number, old, new, pairs, keys)
    ]
    return "\n".join([f"--- {unit}", f"+++ {unit}", *hunks]) if hunks else ""


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
