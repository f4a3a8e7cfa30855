"""What was changed of data sources, for whoever listens: told once it stands in the registry, and never before.

The registry knows no listener; one that fails or takes its time is its own fault, and no change waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Records of the audit, as `registry.audit.By.record` makes them.
Records = Sequence[Mapping[str, Any]]

_LISTENERS: list[Callable[[Records], None]] = []
_KEY = "headwater.news"


def listen(listener: Callable[[Records], None]) -> None:
    """Call this with the records of each transaction, after its commit; it must return at once."""
    if listener not in _LISTENERS:
        _LISTENERS.append(listener)


def note(session: Session, records: Records) -> None:
    """Remember what a transaction changes of data sources."""
    if _LISTENERS:
        mine = (one for one in records if one["object"].startswith("data_source:"))
        session.info.setdefault(_KEY, []).extend(mine)


def tell(session: Session) -> None:
    """Its commit is done."""
    records = session.info.pop(_KEY, [])
    for listener in _LISTENERS if records else ():
        try:
            listener(records)
        except Exception:  # the change stands, whatever becomes of the news
            import logging

            logging.getLogger("headwater.news").warning("the news of a change could not be told", exc_info=True)
