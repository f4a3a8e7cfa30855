"""The form that a run waits for: what it refuses, whose answer counts, and what becomes of a run that gets none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from flows import approvals
from registry.errors import Conflict, HeadwaterError, InvalidInput, NotFound
from tasks.approvals import APPROVE, KEY, REJECT, answer
from tests.flows.waiting import eventually
from tests.serving import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(180)]


@flow(name="asking")
async def asking(seconds: int = 60) -> State[None]:
    try:
        given = await approvals.ask("**Do it**", "headwater-asking", seconds=seconds)
    except approvals.Rejected as error:
        return Cancelled(message=str(error))
    except HeadwaterError as error:
        return approvals.failed(error)
    return Completed(message=given.told)


async def waiting(server: PrefectServer) -> str:
    """The id of the run that waits and can be answered."""

    def ask() -> Any:
        found = server.runs(flow_runs={"state": {"type": {"any_": ["PAUSED"]}}}, flows={"name": {"any_": ["asking"]}})
        return [one["id"] for one in found if "decision" in _form(server, one["id"])]

    (run,) = await eventually(ask)
    return str(run)


def _form(server: PrefectServer, run: str) -> str:
    return server.ask("GET", f"/flow_runs/{run}/input/paused-{KEY}-schema").text


def paused(server: PrefectServer, name: str, *, key: str = KEY, ends: timedelta = timedelta(hours=1)) -> str:
    """A run that somebody else has left waiting; its id."""
    flow_id = server.post("/flows/", {"name": "left"})["id"]
    details = {"pause_key": key, "pause_timeout": (datetime.now(UTC) + ends).isoformat()}
    state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    return str(server.post("/flow_runs/", {"flow_id": flow_id, "name": name, "state": state})["id"])


async def test_an_empty_form_decides_nothing_and_of_two_answers_one_counts(prefect_server: PrefectServer) -> None:
    run = asyncio.create_task(asking(return_state=True))
    id_ = await waiting(prefect_server)
    for form in (
        {},
        {"decision": APPROVE},
        {"decision": APPROVE, "approved_by": ""},
        {"decision": APPROVE, "approved_by": "  "},
        {"decision": "", "approved_by": "li"},
    ):
        said = await asyncio.to_thread(prefect_server.post, f"/flow_runs/{id_}/resume", {"run_input": form})
        assert said["status"] == "REJECT", form
    answers = [answer(id_, APPROVE, by="li", why="fine"), answer(id_, REJECT, by="wang", why="not now")]
    first, second = await asyncio.gather(*answers, return_exceptions=True)
    state = await run
    if isinstance(first, str):
        assert state.is_completed()
        assert state.message.startswith("fine: approved by li in flow run ")
    else:
        assert (state.is_cancelled(), state.message) == (True, "rejected by wang: not now")
    (late,) = [one for one in (first, second) if not isinstance(one, str)]
    assert isinstance(late, Conflict | NotFound), "nobody is told that a decision counted which did not"


async def test_a_run_that_goes_on_without_an_answer_does_nothing(prefect_server: PrefectServer) -> None:
    run = asyncio.create_task(asking(return_state=True))
    forced = {"state": {"type": "RUNNING"}, "force": True}
    await asyncio.to_thread(prefect_server.post, f"/flow_runs/{await waiting(prefect_server)}/set_state", forced)
    state = await run
    assert state.is_cancelled()
    assert "goes on without an answer; nothing was done" in state.message


async def test_nobody_answers_in_time(prefect_server: PrefectServer) -> None:
    state = await asking(seconds=1, return_state=True)
    assert state.is_failed()
    assert "nobody has answered within" in state.message or "never resumed" in state.message
    late = paused(prefect_server, "too late", ends=timedelta(seconds=-1))
    with pytest.raises(HeadwaterError, match=r"not answered in time|it is Failed"):
        await answer(late, APPROVE, by="li", why="")


async def test_only_approvals_of_ours_are_answered(prefect_server: PrefectServer) -> None:
    paused(prefect_server, "another form", key="1")
    with pytest.raises(NotFound, match="waits for something else than an approval"):
        await answer("another form", APPROVE, by="li", why="")
    ids = {paused(prefect_server, "twins") for _ in range(2)}
    with pytest.raises(InvalidInput, match="several runs are called twins") as told:
        await answer("twins", APPROVE, by="li", why="")
    assert all(one in str(told.value) for one in ids)


@pytest.mark.parametrize(
    ("url", "told"),
    [("", "no Prefect server is named"), ("http://127.0.0.1:1/api", "127.0.0.1:1/api cannot be reached")],
)
async def test_a_server_that_is_not_there_is_told(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(HeadwaterError, match=told):
        await answer("any", APPROVE, by="li", why="")
