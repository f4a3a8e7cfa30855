"""Rows of tables as JSON, and back: what a deletion keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry import model

#: Ids that a row gets anew when it is made again.
_OWN = frozenset({"id", "workspace_id", "data_source_id", "entry_id"})


def some(row: model.Base, *names: str) -> dict[str, Any]:
    """These columns of a row."""
    return {name: getattr(row, name) for name in names}


def document(row: model.Base) -> dict[str, Any]:
    """A row as JSON, but for the ids that it gets anew."""
    values = {attribute.key: getattr(row, attribute.key) for attribute in row.__mapper__.column_attrs}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if name not in _OWN
    }


def columns(table: type[model.Base], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that `document` wrote; what the table has not is left out."""
    types = {attribute.key: attribute.columns[0].type for attribute in table.__mapper__.column_attrs}
    return {
        name: datetime.fromisoformat(value) if value and isinstance(types[name], model.UtcDateTime) else value
        for name, value in kept.items()
        if name in types and name not in _OWN
    }
