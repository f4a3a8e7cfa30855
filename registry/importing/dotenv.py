"""Files of environment variables, as data with places: a mapping from each name to its text.

    [export] NAME=value        # a comment; quoted values may go over several lines

Airflow names its connections `AIRFLOW_CONN_<ID>`, in capitals; where some are so named, all the other variables are
somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from registry import texts
from registry.errors import InvalidInput

_PREFIX = "AIRFLOW_CONN_"
#: Quote -> the last line of a value within it, and a comment behind it.
_ENDS = {quote: re.compile(rf"(.*){quote}\s*(?:#.*)?") for quote in ("'", '"')}
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.\-]*)\s*=(.*)", re.DOTALL)


@dataclass
class _Variables(texts.Parsed):
    """Variables that tell the line that they stand in."""

    lines: dict[str, int] = field(default_factory=dict)

    def locate(self, path: texts.Path_) -> texts.Place:
        return texts.Place(self.name, self.lines.get(str(path[0]), 1) if path else 1, 1)


def look_like(text: str) -> bool:
    """Whether a text is of variables: its first line that says something assigns one."""
    said = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return _ASSIGNMENT.match(next(said, "")) is not None


def parse(name: str, text: str) -> texts.Parsed:
    """Read one text.

    Raises:
        InvalidInput: A line assigns nothing, or a quote does not end; says where, and repeats no value.
    """
    found, places = dict[str, str](), dict[str, int]()
    lines = enumerate(text.splitlines(), start=1)
    for at, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.match(line)
        place = str(texts.Place(name, at, 1))
        if match is None:
            raise InvalidInput("no assignment", where=place, instruction="write NAME=value, a variable a line")
        value: str | None = _COMMENT.sub("", match[2]).strip()
        if match[2].lstrip()[:1] in _ENDS:
            value = _quoted(match[2].strip(), (more for _, more in lines))
        if value is None:
            raise InvalidInput("its quote does not end", where=place, instruction="end the value with a quote")
        found[match[1]], places[match[1]] = value, at
    return _only_connections(name, found, places)


def _quoted(piece: str, more: Iterator[str]) -> str | None:
    """What stands between two quotes, on however many lines; None: the second one is nowhere."""
    pieces, end = list[str](), _ENDS[piece[0]]
    piece = piece[1:]
    while (last := end.fullmatch(piece)) is None:
        pieces.append(piece)
        following = next(more, None)
        if following is None:
            return None
        piece = following.rstrip()
    return "\n".join([*pieces, last[1]])


def _only_connections(name: str, found: dict[str, str], places: dict[str, int]) -> _Variables:
    named = {key: key.removeprefix(_PREFIX).lower() for key in found if key.startswith(_PREFIX)}
    names = named or {key: key for key in found}
    data = {said: found[key] for key, said in names.items()}
    return _Variables(name, data, None, [], {said: places[key] for key, said in names.items()})
