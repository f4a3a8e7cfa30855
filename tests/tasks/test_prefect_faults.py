"""What a person reads of a Prefect server that does not do what it is asked."""

from __future__ import annotations

import asyncio
import socket

import pytest

from registry.errors import HeadwaterError
from tasks import prefect_api, prefect_faults
from tasks.dependents import prefect_deployments
from tasks.dependents.prefect_deployments import ADAPTER


def _told(monkeypatch: pytest.MonkeyPatch, port: int | None) -> HeadwaterError:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api" if port else "")
    monkeypatch.setattr(prefect_deployments, "_AGAIN", 0)
    with pytest.raises(HeadwaterError) as caught:
        asyncio.run(ADAPTER.read("deployment:7f-1"))
    return caught.value


def test_a_server_that_takes_too_long_is_not_said_to_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_api, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        told = _told(monkeypatch, port)
    assert told.reason == f"the Prefect server at http://127.0.0.1:{port}/api did not answer within 0.1 s"
    assert "try again" in (told.instruction or "")


def test_a_server_that_is_away_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(monkeypatch, 1)
    assert told.reason == "the Prefect server at http://127.0.0.1:1/api cannot be reached (ECONNREFUSED)"
    assert "PREFECT_API_URL" in (told.instruction or "")


def test_without_a_server_the_next_thing_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(monkeypatch, None)
    assert (told.reason, "PREFECT_API_URL=http" in (told.instruction or "")) == ("no Prefect server is named", True)


@pytest.mark.parametrize(
    ("agent", "status", "told"),
    [
        ("server-unauthorized", 401, "does not take these credentials (HTTP 401)"),
        ("server-busy", 503, "is too busy to do it (HTTP 503)"),
        ("server-error", 500, "fails at it (HTTP 500)"),
    ],
)
def test_a_refusal_is_told_in_words(agent: str, status: int, told: str) -> None:
    evidence = {"agent": agent, "api": "http://prefect/api", "http_status": status}
    assert prefect_faults.told(evidence) == f"the Prefect server at http://prefect/api {told}"
    assert agent not in prefect_faults.told(evidence) + prefect_faults.advice(evidence)
