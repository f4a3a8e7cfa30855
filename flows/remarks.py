"""What workers are waited for, passed on to whoever waits: the line of a terminal, the log of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOGGER = "headwater.worker"

#: Takes a remark, and the page of the flow run that it is about.
Tell = Callable[[str, str], object]


class _Passing(logging.Handler):
    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage(), getattr(record, "page", ""))


@contextmanager
def heard_by(tell: Tell) -> Iterator[None]:
    """Call `tell` with each remark for as long as the block lasts."""
    logger, passing = logging.getLogger(_LOGGER), _Passing(tell)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(passing)
    try:
        yield
    finally:
        logger.removeHandler(passing)
        logger.setLevel(level)
        logger.propagate = propagate
