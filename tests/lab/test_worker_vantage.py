"""The worker vantage: the same verdicts as on the spot, many in one flow run of a worker at the vantage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab import workers
from tests.lab.expectation import check_invariants
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, WRONG_PASSWORD
from tests.lab.topology import Dead

pytestmark = pytest.mark.timeout(400)


def _entry(host: str, **changes: Any) -> dict[str, Any]:
    return {
        "address": {"host": host, "port": 5432},
        "database": "shop",
        "username": "app",
        "password": PASSWORD,
        **changes,
    }


def test_a_worker_gives_the_verdicts_of_its_place(lab: Lab) -> None:
    server, redis = lab.postgresql(), lab.redis()
    missing = {"objects": ["nothing"]}
    wanted: list[tuple[str, dict[str, Any], str | None]] = [
        ("postgresql", _entry(server.v4), None),
        ("postgresql", _entry(lab.name("byworker", server.v4)), None),
        ("postgresql", _entry(server.v4, password=WRONG_PASSWORD), "AUTH.BAD_CREDENTIALS"),
        ("postgresql", _entry(server.v4, **missing), "TARGET.OBJECT_MISSING"),
        ("postgresql", _entry(lab.host().v4), "PORT.CLOSED"),
        ("postgresql", _entry("nobody.lab.test"), "DNS.NXDOMAIN"),
        ("postgresql", _entry(Dead.ON_LINK), "HOST.DOWN"),
        ("redis", {"address": {"host": redis.v4, "port": 6379}, "username": "app", "password": PASSWORD}, None),
    ]
    requests = [{"type": type_, "entry": entry} for type_, entry, _ in wanted]

    verdicts = workers.check_many(lab, "client", requests)

    for (type_, entry, code), verdict in zip(wanted, verdicts, strict=True):
        check_invariants(verdict)
        here = lab.check(type_, entry)
        assert (verdict.cause, here.cause) == (code, code), verdict.model_dump_json(indent=1)
        assert verdict.state is here.state
        assert verdict.component == here.component
    runs = {verdict.stages[0].evidence["flow_run"] for verdict in verdicts}
    assert len(runs) == 1, "one flow run for all of them"
    connect = next(stage for stage in verdicts[0].stages if stage.name == "connect")
    assert connect.evidence["source_address"] == "10.77.1.2", "what the server saw is the vantage's address"


def test_a_place_without_a_way_out_has_a_worker_too(lab: Lab) -> None:
    server = lab.postgresql()
    requests = [{"type": "postgresql", "entry": _entry(host)} for host in (server.v4, server.host.public)]
    private, public = workers.check_many(lab, "nogateway", requests)
    assert private.connectable, private.model_dump_json(indent=1)
    assert public.cause == lab.check("postgresql", _entry(server.host.public), vantage="nogateway").cause
    assert public.cause is not None
    assert public.cause.startswith("ROUTE.")
