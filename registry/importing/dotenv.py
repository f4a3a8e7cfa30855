"""Files of environment variables, as data with places: a mapping from each name to its text.

    [export] NAME=value        # a comment; quoted values may go over several lines

Airflow names its connections `AIRFLOW_CONN_<ID>`, in capitals; where some are so named, all the other variables are
somebody else's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dotenv.parser import Binding, parse_stream

from registry import texts
from registry.errors import InvalidInput

_PREFIX = "AIRFLOW_CONN_"
_NAME = re.compile(r"[A-Za-z_][\w.\-]*")


@dataclass
class _Variables(texts.Parsed):
    """Variables that tell the line that they stand in."""

    lines: dict[str, int] = field(default_factory=dict)

    def locate(self, path: texts.Path_) -> texts.Place:
        return texts.Place(self.name, self.lines.get(str(path[0]), 1) if path else 1, 1)


def look_like(text: str) -> bool:
    """Whether a text is of variables: the first thing that it says assigns one."""
    said = (one for one in _read(text) if one.key is not None or one.error)
    first = next(said, None)
    return first is not None and first.value is not None and _NAME.fullmatch(first.key or "") is not None


def parse(name: str, text: str) -> texts.Parsed:
    """Read one text.

    Raises:
        InvalidInput: A line assigns nothing, or a quote does not end; says where, and repeats no value.
    """
    found, places = dict[str, str](), dict[str, int]()
    for one in _read(text):
        said = one.original.string
        at = one.original.line + len(said[: len(said) - len(said.lstrip())].splitlines())
        place = str(texts.Place(name, at, 1))
        if one.error:
            told = "an assignment that can't be read: its quote does not end, or more follows it"
            raise InvalidInput(told, where=place, instruction="end the value with a quote, and the line behind it")
        if one.key is not None and one.value is None:
            raise InvalidInput("no assignment", where=place, instruction="write NAME=value, a variable a line")
        if one.key is not None and one.value is not None:
            found[one.key], places[one.key] = one.value, at
    return _only_connections(name, found, places)


def _read(text: str) -> Iterator[Binding]:
    return parse_stream(io.StringIO(text))


def _only_connections(name: str, found: dict[str, str], places: dict[str, int]) -> _Variables:
    named = {key: key.removeprefix(_PREFIX).lower() for key in found if key.startswith(_PREFIX)}
    names = named or {key: key for key in found}
    data = {said: found[key] for key, said in names.items()}
    return _Variables(name, data, None, [], {said: places[key] for key, said in names.items()})
