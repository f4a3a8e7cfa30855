"""What came of a request that a Prefect server did not do, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Agent (see `tasks.prefect_api.PrefectApi`) -> what became of the request.
_WORDS: Mapping[str, str] = {
    "server-unreachable": "cannot be reached",
    "server-silent": "did not answer within {timeout_s:g} s",
    "server-unauthorized": "does not take these credentials",
    "server-busy": "is too busy to do it",
    "server-error": "fails at it",
}
#: Agent -> what to type or look at next; of any other, whether the address is right.
_NEXT: Mapping[str, str] = {
    "no-server": "set PREFECT_API_URL=http://127.0.0.1:4200/api, or wherever the server is",
    "server-silent": "see what else it is busy with, then try again",
    "server-unauthorized": "set PREFECT_API_KEY or PREFECT_API_AUTH_STRING",
    "server-busy": "try again when it has less to do",
    "server-error": "its log tells why",
}


def told(evidence: Mapping[str, Any]) -> str:
    """What came of it, with the server's address. Pure.

    Args:
        evidence: Of the `StageFailed` that `PrefectApi` raised.
    """
    agent, error, status = (str(evidence.get(name) or "") for name in ("agent", "http_error", "http_status"))
    if agent == "no-server":
        return "no Prefect server is named"
    words = _WORDS.get(agent, "does not do it").format_map(evidence)
    why = f"HTTP {status}" if status else error
    return f"the Prefect server at {evidence.get('api', '')} {words}{f' ({why})' if why else ''}"


def advice(evidence: Mapping[str, Any]) -> str:
    """What to do next. Pure."""
    return _NEXT.get(str(evidence.get("agent")), "check PREFECT_API_URL, and that the server runs")
