"""What a worker group does without a server: packing, dividing, and the sentences over workers that take no work."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from registry import types
from registry.connection import read_entry
from registry.errors import SecretUnresolved
from registry.groups import WorkerSettings
from registry.network import Network
from registry.verdict import Warning
from tasks import prefect_api
from tasks.causes.probe import CAUSES
from tasks.check import check
from tasks.evidence import StageFailed
from tasks.perspectives import View
from tasks.target import Target
from tasks.vantages import Outpost, open_vantage
from tasks.vantages.local import LocalVantage
from tasks.vantages.worker import WorkerPool, _answers, _orders, flow_runs, parcels
from tasks.vantages.worker.flow_runs import Ended
from tasks.vantages.worker.parcels import Packed

AGENTS = [rule.when["agent"] for cause in CAUSES for rule in cause.rules if "agent" in rule.when]


def made(name: str, source: str = "orders") -> Target:
    """A target of a type's own example, with a declared network."""
    kind = types.get(name)
    reading = read_entry(kind, kind.example, literals_allowed=True, where="test")
    return Target(
        "retail", source, name, "prod", "pool", kind.protocol_of(reading.connection), kind.default_port,
        reading.connection, permitted_ranges=("10.0.0.0/8",), warnings=(Warning(code="X", message="y"),),
        network=Network(type="serverless", nat_eips=(), canaries=("198.51.100.7:443",)), version=7,
    )  # fmt: skip


@pytest.mark.parametrize("name", types.catalogue())
def test_every_type_arrives_as_it_was_sent(name: str) -> None:
    target = made(name)
    assert target.connection is not None
    secrets = {field: SecretStr(f"value of {field}") for field in target.connection.secret_references()}
    packed = parcels.pack(target, secrets)
    there = parcels.unpack(json.loads(json.dumps(packed.parcel)), packed.files)
    assert there.secrets() == secrets
    for field in fields(Target):
        if field.name != "secrets":
            assert getattr(there, field.name) == getattr(target, field.name), field.name


def test_every_reason_has_its_own_sentence_and_no_sentence_is_left_over() -> None:
    root = Path(__file__).resolve().parents[2]
    said = set()
    for name in ("tasks/prefect_api.py", "tasks/vantages/worker/flow_runs.py", "tasks/vantages/worker/__init__.py"):
        said |= set(re.findall(r'"?agent"?(?:=|: )"([a-z-]+)"', (root / name).read_text()))
    refused = set(re.findall(r'BoxRefused\(\s*"([a-z-]+)"', (root / "registry/sealing.py").read_text())) | {"broken"}
    assert len(said) > 15
    assert said | {f"box-{word}" for word in refused} == set(AGENTS)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_worker_that_takes_no_work_is_never_blamed_on_the_source(agent: str) -> None:
    pool = WorkerPool("pool", WorkerSettings(work_pool="k8s"), None)
    for name in types.catalogue():
        verdict = pool._down(made(name), {"agent": agent}, "2026-01-01T00:00:00Z", 0.0)
        assert verdict.cause == "PROBE.AGENT_DOWN"
        assert [stage.name for stage in verdict.stages if stage.status == "failed"] == ["resolve"]


@pytest.mark.parametrize("kept", ["stored:" + "0" * 32, "certificate:ca"])
async def test_what_the_registry_keeps_is_sent_sealed_or_not_at_all(kept: str) -> None:
    kind = types.get("postgresql")
    reading = read_entry(kind, {**kind.example, "truststore_file": kept})
    values = {"truststore_file": SecretStr("PEM")}
    target = Target(
        "retail", "orders", "postgresql", "prod", "pool", "postgresql", 5432, reading.connection, lambda: values
    )
    settings = WorkerSettings(work_pool="k8s")
    assert await WorkerPool("pool", settings, "a key")._secrets(target) == values
    with pytest.raises(SecretUnresolved, match="truststore_file is kept in the registry"):
        await WorkerPool("pool", settings, None)._secrets(target)


@pytest.mark.parametrize(("sealed", "resolved_by"), [(True, None), (False, "pool")])
async def test_only_a_worker_without_a_key_resolves_references_itself(
    sealed: bool, resolved_by: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERE", "another")
    kind = types.get("redis")
    entry = {"address": [{"host": "127.0.0.1", "port": 1}], "password": "env:THERE"}
    target = Target(
        "retail", "orders", "redis", "prod", "pool", "redis", 6379, read_entry(kind, entry).connection
    )  # fmt: skip
    packed = parcels.pack(target, {"password": SecretStr("one")} if sealed else None)
    there = parcels.unpack(packed.parcel, packed.files)
    assert there.secrets()["password"].get_secret_value() == ("one" if sealed else "another")
    seen = View(await check(there, LocalVantage("pool"), timeout=1)).seen("credentials")
    assert seen.get("resolved_by") == resolved_by


async def test_an_outpost_of_the_kind_worker() -> None:
    place = open_vantage("worker", "pool", {"work_pool": "k8s"})
    assert isinstance(place, Outpost)
    assert (place.name, place.kind) == ("pool", "worker")


def parcel(size: int, file: str = "", file_size: int = 0) -> Packed:
    """A target of so many bytes, and a file that it refers to."""
    return Packed({"filling": "x" * size}, {file: "y" * file_size} if file else {})


def test_targets_are_divided_by_size_and_none_is_lost() -> None:
    ready = [(made("redis", f"s{number}"), parcel(100_000)) for number in range(7)]
    orders = list(_orders(ready, 5.0))
    assert [len(order.targets) for order in orders] == [2, 2, 2, 1]
    assert [target.source for order in orders for target in order.targets] == [f"s{number}" for number in range(7)]
    assert all(len(json.dumps(order.content)) * 4 / 3 < 512 * 1024 for order in orders)
    assert [len(order.targets) for order in _orders([(made("redis"), parcel(400_000))], 5.0)] == [1]


def test_a_file_that_many_targets_share_is_sent_once() -> None:
    ready = [(made("redis", f"s{number}"), parcel(500, "bundle", 200_000)) for number in range(100)]
    (order,) = _orders(ready, 5.0)
    assert len(json.dumps(order.content)) < 300_000
    apart = [(made("redis", f"s{number}"), parcel(500, f"bundle{number}", 200_000)) for number in range(3)]
    assert [len(order.targets) for order in _orders(apart, 5.0)] == [1, 1, 1]


async def test_what_does_not_fit_into_a_parameter_is_not_sent() -> None:
    (order,) = _orders([(made("redis"), parcel(10, "bundle", 600_000))], 5.0)
    with pytest.raises(StageFailed) as failed:
        WorkerPool("pool", WorkerSettings(work_pool="k8s"), None)._request(order)
    assert failed.value.evidence["agent"] == "too-large"


def test_the_time_of_a_run_covers_checks_that_wait_for_each_other() -> None:
    (order,) = _orders([(made("redis", f"s{number}"), parcel(1)) for number in range(80)], 5.0)
    assert order.limit >= 10 * 5.5


@pytest.mark.parametrize("data", ["", "{", "[1]", '[{"verdict": null}]', None, 7, [{}], '{"verdict": 1}'])
def test_artifacts_that_hold_no_verdicts(data: Any) -> None:
    (order,) = _orders([(made("redis"), parcel(1))], 5.0)
    assert _answers(order, Ended("id", "page", "COMPLETED", "Healthy", ""), [data]) == {}


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/api", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(StageFailed) as failed:
        prefect_api.PrefectApi({"PREFECT_API_URL": url})
    assert failed.value.evidence["agent"] == "no-server"


class _Busy:
    """A server that is busy at first, then wants a token of writers, and answers the clock of another time zone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-le")), 0)
            await reader.readexactly(length)
            self.asked.append(head.split(" HTTP")[0])
            status, body = self._answer(head)
            date = "Date: Sat, 21 Nov 2026 09:00:00 GMT\r\n"
            writer.write(f"HTTP/1.1 {status} X\r\n{date}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()

    def _answer(self, head: str) -> tuple[int, str]:
        if len(self.asked) == 1:
            return 503, "database is locked"
        if "/csrf-token" in head:
            return 200, '{"token": "t0"}'
        return (200, "[]") if head.startswith("GET") or "prefect-csrf-token: t0" in head.lower() else (403, "{}")


async def test_a_busy_server_is_asked_again_and_one_that_wants_a_token_gets_it() -> None:
    busy = _Busy()
    server = await asyncio.start_server(busy.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    async with prefect_api.PrefectApi({"PREFECT_API_URL": url}) as api:
        assert await api.post("/x", {}) == []
        assert await api.post("/y", {}) == []
        assert str(api.clock) == "2026-11-21 09:00:00+00:00"
    asked = [one.partition("?")[0] for one in busy.asked]
    assert asked == ["POST /api/x", "POST /api/x", "GET /api/csrf-token", "POST /api/x", "POST /api/y"]
    server.close()


@pytest.mark.parametrize(
    ("beat", "interval", "polled", "alive"),
    [
        (40, 30, 300, True),  # it beats
        (50, 30, 29, True),  # its beat is late, but it asks for work
        (50, 30, 31, False),
        (50, 30, None, False),
        (170, 120, 300, True),
        (40, None, None, True),
        (50, None, None, False),
    ],
)
def test_a_worker_that_was_killed_is_missed_before_the_server_misses_it(
    beat: int, interval: int | None, polled: int | None, alive: bool
) -> None:
    api = prefect_api.PrefectApi({"PREFECT_API_URL": "http://127.0.0.1:1/api"})
    api.clock = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)

    def ago(seconds: int | None) -> str | None:
        return None if seconds is None else (api.clock - timedelta(seconds=seconds)).isoformat()  # type: ignore[operator]

    workers = [{"status": "ONLINE", "last_heartbeat_time": ago(beat), "heartbeat_interval_seconds": interval}]
    pool = flow_runs.WorkPool(api, "p", None, 60)
    if alive:
        pool._expect_worker(workers, {"last_polled": ago(polled)})
        return
    with pytest.raises(StageFailed) as quiet:
        pool._expect_worker(workers, {"last_polled": ago(polled)})
    assert quiet.value.evidence == {"agent": "not-heard", "workers": 1, "quiet_s": min(beat, polled or beat)}
