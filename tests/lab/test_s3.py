"""S3: a real server that checks signatures and policies, each time asked in its own wrong way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import WRONG_PASSWORD
from tests.lab.stores import S3

NAME = "store.lab.test"


@pytest.fixture(scope="module")
def server(lab: Lab) -> S3:
    return lab.server(S3)


def entry(server: S3, user: str = "app", **changes: Any) -> dict[str, Any]:
    access_id, access_key = server.keys[user]
    given = {
        "endpoint": server.url(), "region_id": "eu-west-1", "bucket": "orders", "objects": ["daily/"],
        "access_id": access_id, "access_key": access_key, **changes,
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


def test_good(lab: Lab, expect: Expectation, server: S3) -> None:
    secrets = [secret for _, secret in server.keys.values()]
    verdict = lab.check("s3", entry(server, objects=["daily/", "daily/1.csv"]))
    expect(
        verdict, "good", code=None, state="Connectable", within=3, warnings=["AUTH.ACCESS_KEY_USED"], secrets=secrets
    )  # fmt: skip


def test_nothing_bound(lab: Lab, expect: Expectation, server: S3) -> None:
    verdict = lab.check("s3", entry(server, objects=None))
    expect(verdict, "good, any object", code=None, state="Connectable", within=3)
    assert lab.check("s3", entry(server, objects=None, bucket="empty")).stages[-1].status == "warned"


def test_over_tls(lab: Lab, expect: Expectation) -> None:
    server = lab.server(S3, tls=lab.ca.issue(NAME))
    lab.name("store", server.v4)
    bundle = f"file:{lab.ca.bundle}"
    verdict = lab.check("s3", entry(server, endpoint=f"https://{NAME}", truststore_file=bundle))
    expect(verdict, "good over TLS", code=None, state="Connectable", within=3)
    verdict = lab.check("s3", entry(server, endpoint=f"https://{NAME}"))
    expect(verdict, "unknown CA", code="TLS.UNTRUSTED_CA", state="ConfigError", within=3)
    verdict = lab.check("s3", entry(server, endpoint=f"http://{NAME}:443"))
    expect(verdict, "plaintext to TLS", code="TLS.REQUIRED", state="ConfigError", within=3)


@pytest.mark.parametrize(
    ("kind", "changes", "code", "component"),
    [
        ("unknown access key", {"access_id": "AKIANOSUCHKEY"}, "AUTH.TOKEN", "AKIANOSUCHKEY"),
        ("wrong secret key", {"access_key": WRONG_PASSWORD}, "AUTH.TOKEN", ""),
        ("no such bucket", {"bucket": "oders"}, "TARGET.MISSING", "oders"),
        ("bucket may not be read", {"bucket": "closed", "objects": None}, "PRIV.OBJECT_DENIED", "closed"),
        ("no such prefix", {"objects": ["weekly/"]}, "TARGET.OBJECT_MISSING", "weekly/"),
        ("no such object", {"objects": ["daily/2.csv"]}, "TARGET.OBJECT_MISSING", "daily/2.csv"),
        ("object may not be read", {"objects": ["monthly/1.csv"]}, "PRIV.OBJECT_DENIED", "monthly/1.csv"),
        ("prefix may not be read", {"objects": ["monthly/"]}, "PRIV.OBJECT_DENIED", "monthly/"),
    ],
)
def test_refused(
    lab: Lab, expect: Expectation, server: S3, kind: str, changes: dict[str, Any], code: str, component: str
) -> None:
    verdict = lab.check("s3", entry(server, **changes))
    expect(verdict, kind, code=code, state="ConfigError", component=component, within=3)


def test_neither_listed_nor_read(lab: Lab, expect: Expectation, server: S3) -> None:
    verdict = lab.check("s3", entry(server, "reader", objects=["daily/1.csv"]))
    expect(verdict, "good, may not list", code=None, state="Connectable", within=3)
    verdict = lab.check("s3", entry(server, "reader", objects=["monthly/1.csv"]))
    expect(
        verdict, "may not list, object refused", code="INCONCLUSIVE", state="ConfigError", within=3,
        alternatives=["PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"],
    )  # fmt: skip


def test_no_store(lab: Lab, expect: Expectation, server: S3) -> None:
    verdict = lab.check("s3", entry(server, endpoint=lab.http().url("").rstrip("/")))
    expect(verdict, "a web server", code="PROTO.MISMATCH", state="ConfigError", within=3)
