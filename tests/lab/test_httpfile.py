"""HttpFile: a real web server that hands out files, or does not."""

from __future__ import annotations

import re
from typing import Any

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Http

CONFIG = f"""
location /export/ {{ alias /etc/; location ~ passwd$ {{ deny all; }} }}
location = /keyed {{ if ($http_x_api_key != "{PASSWORD}") {{ return 401; }} return 200 'id'; }}
"""


def server(lab: Lab) -> Http:
    return lab.http(config=CONFIG)


def entry(lab: Lab, path: str = "/export", **changes: Any) -> dict[str, Any]:
    return {"url_prefix": server(lab).url(path), "objects": ["hostname"], **changes}


def test_good(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("httpfile", entry(lab, objects=["services", "nsswitch.conf"]))
    expect(verdict, "good", code=None, state="Connectable", within=2)


def test_a_header_that_carries_a_secret(lab: Lab, expect: Expectation) -> None:
    headers = {"X-API-Key": PASSWORD}
    verdict = lab.check("httpfile", entry(lab, "/keyed", default_headers=headers, objects=[]))
    expect(verdict, "good, with a key", code=None, state="Connectable", within=2)
    verdict = lab.check("httpfile", entry(lab, "/keyed", objects=[]))
    expect(verdict, "key missing", code="AUTH.BAD_CREDENTIALS", state="ConfigError", within=2)


def test_missing_and_denied(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("httpfile", entry(lab, objects=["oders.csv"]))
    expect(verdict, "no such file", code="TARGET.OBJECT_MISSING", state="ConfigError", component="oders.csv", within=2)
    verdict = lab.check("httpfile", entry(lab, objects=["passwd"]))
    expect(
        verdict, "file may not be read", code="PRIV.OBJECT_DENIED", state="ConfigError", component="passwd", within=2
    )
    verdict = lab.check("httpfile", entry(lab, "/nothing", objects=[]))
    expect(verdict, "no such prefix", code="TARGET.MISSING", state="ConfigError", within=2, remedy="objects")


def test_the_beginning_is_read(lab: Lab) -> None:
    """More than a packet holds, and no more than 16 KiB."""
    lab.check("httpfile", entry(lab, objects=["services"]))
    read = re.findall(r'"GET /export/services HTTP/1.1" 206 ([0-9]+) ', (server(lab).folder / "access.log").read_text())
    assert read
    assert all(1500 < int(size) <= 16384 for size in read)
