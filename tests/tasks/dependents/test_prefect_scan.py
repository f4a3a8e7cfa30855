"""Deployments by the thousand, as a server tells them that others use meanwhile: all are found, or it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from registry.errors import HeadwaterError
from tasks.data_source_ref import FORMAT
from tasks.dependents import FoundDependent, NotRewritable, Place, Rename, Scope, Unread, prefect_deployments
from tasks.dependents.prefect_deployments import ADAPTER

MARK = {"type": "string", "format": FORMAT}
SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {"source": MARK}}


class Server:
    """What the adapter asks of a Prefect server; lists are paged as it pages them."""

    def __init__(self, count: int) -> None:
        self.deployments = [self.deployment(number) for number in range(count)]
        self.runs: list[dict[str, str]] = []
        self.pools: list[dict[str, Any]] = [{"id": "p", "name": "etl", "base_job_template": {}}]
        self.asked: list[str] = []
        self.before: Callable[[int], None] = lambda asked: None

    @staticmethod
    def deployment(number: int, **more: Any) -> dict[str, Any]:
        """One that reads orders."""
        about = {"id": f"d{number}", "name": f"n{number}", "flow_id": "f", "work_pool_name": "etl", "tags": []}
        return about | {"parameter_openapi_schema": SCHEMA, "parameters": {"source": "orders"}, **more}

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a request."""
        self.before(len(self.asked))
        self.asked.append(path)
        asked = body or {}
        if path == "/flow_runs/filter":
            wanted = asked["flow_runs"]["deployment_id"]["any_"]
            return [run for run in self.runs if run["deployment_id"] in wanted][: asked["limit"]]
        flows = [{"id": "f", "name": "etl"}]
        listed: Mapping[str, list[Any]] = {"/work_pools/filter": self.pools, "/flows/filter": flows}
        return listed.get(path, self.deployments)[asked["offset"] : asked["offset"] + asked["limit"]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    class Api:
        def page_of_deployment(self, deployment: str) -> str:
            return f"http://prefect/{deployment}"

    async def api() -> Any:
        return Api()

    made = Server(2_000)
    monkeypatch.setattr(prefect_deployments, "_api", api)
    monkeypatch.setattr(prefect_deployments, "_ask", made.ask)
    monkeypatch.setattr(prefect_deployments, "_groups", dict)
    return made


async def scan() -> tuple[dict[str, FoundDependent], list[Unread]]:
    told = [one async for one in ADAPTER.scan(Scope("retail"))]
    found = [one for one in told if isinstance(one, FoundDependent)]
    assert len({one.key for one in found}) == len(found)
    return {one.name: one for one in found}, [one for one in told if isinstance(one, Unread)]


def uses(one: FoundDependent) -> list[tuple[str, str]]:
    return [(ref.source, place.pointer) for ref in one.references for place in ref.places]


async def test_all_of_two_thousand_are_found_with_few_questions(server: Server) -> None:
    often = [
        {"deployment_id": "d7", "start_time": f"2026-05-04T03:{at % 60:02}:00+00:00"} for at in range(59, -400, -1)
    ]
    server.runs = [*often, {"deployment_id": "d8", "start_time": "2026-05-03T00:00:00+00:00"}]
    found, unread = await scan()
    assert len(found) == 2_000
    assert not unread
    assert len(server.asked) < 100
    last = {name: str(one.last_run_at) for name, one in found.items() if one.last_run_at}
    assert last == {"etl/n7": "2026-05-04 03:59:00+00:00", "etl/n8": "2026-05-03 00:00:00+00:00"}


@pytest.mark.parametrize("change", ["made", "deleted"])
async def test_none_is_missed_where_others_change_the_list_meanwhile(server: Server, change: str) -> None:
    def others(asked: int) -> None:
        if asked == 6 and change == "made":
            server.deployments.insert(0, server.deployment(9_999))
        elif asked == 6:
            del server.deployments[3]

    server.before = others
    found, _ = await scan()
    assert {one.key for one in found.values()} == {one["id"] for one in server.deployments}


async def test_a_list_that_never_stays_the_same_is_told_instead_of_read_half(server: Server) -> None:
    server.before = lambda asked: server.deployments.insert(0, server.deployment(10_000 + asked))
    with pytest.raises(HeadwaterError, match="changes faster"):
        await scan()


async def test_what_a_schedule_or_a_pool_says_is_found_and_left_to_others(server: Server) -> None:
    variables = {"type": "object", "properties": {"cache": {**MARK, "default": "sessions"}}}
    server.pools[0]["base_job_template"] = {"variables": variables}
    schedules = [
        {"id": "s1", "schedule": {"cron": "0 3 * * *"}, "parameters": {"source": "orders_night"}},
        {"id": "s2"},
    ]
    server.deployments = [
        server.deployment(1, schedules=[{**one, "schedule": {"cron": "0 3 * * *"}} for one in schedules]),
        server.deployment(2, job_variables={"cache": "mine"}),
    ]
    found, _ = await scan()
    assert uses(found["etl/n1"]) == [
        ("orders", "/parameters/source"),
        ("orders_night", "/schedules/s1/parameters/source"),
        ("sessions", "/work_pool/cache"),
    ]
    assert uses(found["etl/n2"]) == [("orders", "/parameters/source"), ("mine", "/job_variables/cache")]
    content = prefect_deployments._content({"parameters": {"source": "orders"}, "job_variables": {}})
    for source, pointer in uses(found["etl/n1"])[1:]:
        with pytest.raises(NotRewritable, match="gives its runs this name"):
            ADAPTER.rewrite(content, [Rename(Place("deployment:d1", pointer), source, "other")])


async def test_schemas_that_nobody_expects_do_not_end_a_scan(server: Server) -> None:
    endless = {
        "type": "object",
        "properties": {"again": {"$ref": "#", "default": {}}, "source": {**MARK, "default": "x"}},
    }
    odd = {"type": "object", "properties": {"any": True, "source": MARK, "none": None}, "anyOf": None, "required": "?"}
    keyed = {"properties": {"named": {"patternProperties": {"^s_": MARK, "(": True}, "additionalProperties": False}}}
    server.deployments = [
        server.deployment(1, parameter_openapi_schema=endless),
        server.deployment(2, parameter_openapi_schema=odd, parameters={"any": {"a": 1}, "source": "orders", "none": 1}),
        server.deployment(3, parameter_openapi_schema=keyed, parameters={"named": {"s_a": "orders", "t": "no"}}),
        server.deployment(4, parameter_openapi_schema=None, parameters=None),
    ]
    found, unread = await scan()
    assert {name: uses(one) for name, one in found.items()} == {
        "etl/n2": [("orders", "/parameters/source")],
        "etl/n3": [("orders", "/parameters/named/s_a")],
        "etl/n4": [],
    }
    assert [(one.place.unit, one.place.pointer) for one in unread] == [("deployment:d1", "/parameters")]
