"""Files of environment variables, as data with places: a mapping from each name to its text.

    [export] NAME=value        # quoted values may go over several lines

Airflow names its connections `AIRFLOW_CONN_<ID>`, in capitals; where some are so named, all the other variables are
somebody else's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from registry import texts
from registry.errors import InvalidInput

_PREFIX = "AIRFLOW_CONN_"
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
    found: dict[str, str] = {}
    lines, places = text.splitlines(), dict[str, int]()
    number = 0
    while number < len(lines):
        line, at = lines[number], number + 1
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.match(line)
        if match is None:
            advice = "write NAME=value, a variable a line"
            raise InvalidInput("no assignment", where=str(texts.Place(name, at, 1)), instruction=advice)
        value = match[2].strip()
        quote = value[:1] if value[:1] in ("'", '"') else ""
        while quote and not _ends(value, quote):
            if number == len(lines):
                raise InvalidInput(f"the quote {quote} does not end", where=str(texts.Place(name, at, 1)))
            value, number = f"{value}\n{lines[number].rstrip()}", number + 1
        found[match[1]], places[match[1]] = value[1:-1] if quote else value, at
    return _only_connections(name, found, places)


def _ends(value: str, quote: str) -> bool:
    return len(value) > 1 and value.endswith(quote)


def _only_connections(name: str, found: dict[str, str], places: dict[str, int]) -> _Variables:
    named = {key: key.removeprefix(_PREFIX).lower() for key in found if key.startswith(_PREFIX)}
    names = named or {key: key for key in found}
    data = {said: found[key] for key, said in names.items()}
    return _Variables(name, data, None, [], {said: places[key] for key, said in names.items()})
