"""Asks a program of one's own, over HTTP, whether a plan may be applied: `HEADWATER_CHECK_URL`.

It gets a POST with the plan as JSON and answers `{"result": "OK" | "WARN" | "FAIL", "tip": "..."}`, the words of
DataWorks' extensions. Without an answer in time nothing is applied: a check that can be evaded by its absence is none.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from registry.checks import Stopped

if TYPE_CHECKING:
    from registry.audit import By
    from registry.model import Plan

_LOG = logging.getLogger("headwater.checks")
#: Seconds for an answer.
PATIENCE = 10.0
#: Characters of a tip that are told.
_MOST = 500


def over_http(plan: Plan, by: By) -> None:
    """Ask.

    Raises:
        Stopped: It says FAIL, or nothing that can be understood.
    """
    url = os.environ.get("HEADWATER_CHECK_URL", "")
    if not url:
        return
    result, tip = _answer(url, _asked(plan, by), f"plan:{plan.id}")
    if result == "FAIL":
        raise Stopped(
            f"the check of HEADWATER_CHECK_URL says no: {tip or 'it gives no reason'}",
            where=f"plan:{plan.id}",
            instruction="nothing was changed; mend what it tells, and apply again",
        )
    if result == "WARN":
        _LOG.warning("plan %s: the check of HEADWATER_CHECK_URL warns: %s", plan.id, tip)


def _asked(plan: Plan, by: By) -> dict[str, Any]:
    return {
        "plan": plan.id,
        "kind": plan.kind,
        "digest": plan.digest,
        "objects": sorted(plan.versions),
        "document": plan.document,
        "actor": by.actor,
        "why": by.why or plan.why,
    }


def _answer(url: str, asked: dict[str, Any], where: str) -> tuple[str, str]:
    import httpx

    token = os.environ.get("HEADWATER_CHECK_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        response = httpx.post(url, json=asked, headers=headers, timeout=PATIENCE)
        body = response.json() if response.is_success else None
        told = f"HTTP {response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        body, told = None, type(error).__name__
    if not isinstance(body, dict) or body.get("result") not in ("OK", "WARN", "FAIL"):
        raise Stopped(
            f"the check of HEADWATER_CHECK_URL gives no answer ({told}), and without one nothing is applied",
            where=where,
            instruction='let it answer {"result": "OK"}, "WARN" or "FAIL", or take the variable away',
        ) from None
    tip = "".join(character if character.isprintable() else " " for character in str(body.get("tip") or ""))
    return body["result"], tip[:_MOST]
