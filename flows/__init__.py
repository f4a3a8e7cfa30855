"""What an operator runs: one module an operation, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry import checks, news

if TYPE_CHECKING:
    from registry.audit import By
    from registry.model import Plan


def _announce(records: news.Records) -> None:
    from tasks import announcements  # only what changes something needs it

    announcements.changed(records)


def _check(plan: Plan, by: By) -> None:
    from tasks.checks import over_http

    over_http(plan, by)


news.listen(_announce)
checks.install(_check)
