"""Programs of one's own that are asked before a plan is applied; one that says no stops it.

The registry knows none of them: whoever runs commands and flows installs what asks. A plan is asked about before it is
begun, or begun anew after it has failed, and before anything is locked; that it is still the plan that was asked about
is seen afterwards. One that was paused or killed goes on unasked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from registry.errors import HeadwaterError

if TYPE_CHECKING:
    from registry.audit import By
    from registry.model import Plan


class Stopped(HeadwaterError):
    """A program of one's own does not let a plan be applied."""


#: Raises Stopped where a plan is not to be applied.
Check = Callable[["Plan", "By"], None]

_INSTALLED: list[Check] = []


def install(check: Check) -> None:
    """Ask this one too, from now on."""
    if check not in _INSTALLED:
        _INSTALLED.append(check)


def ask(plan: Plan, by: By) -> None:
    """Ask all of them.

    Raises:
        Stopped: One of them says no.
    """
    for check in _INSTALLED:
        check(plan, by)
