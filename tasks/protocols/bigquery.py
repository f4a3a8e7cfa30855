"""BigQuery: a service account's signed assertion for an access token, then its REST API.

Sources: "Using OAuth 2.0 for server to server applications", "Error messages" of the BigQuery REST API, RFC 7523.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Answer, Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, ServiceSession, answers
from tasks.protocols.http.wire import Origin

CODES = Codes(
    refused=frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "authError"}),
    not_admitted=frozenset({"policyViolation"}),
    shut_out=frozenset({"accountDisabled", "billingNotEnabled"}),
    denied=frozenset({"accessDenied", "forbidden"}),
    busy=frozenset({"rateLimitExceeded", "quotaExceeded"}),
)
_SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME = 300


class BigQuerySession(ServiceSession):
    """One conversation with BigQuery."""

    codes = CODES
    hello = "/bigquery/v2/projects"
    identity_field = "client_email"
    project_field = "big_query_project_id"
    _token = ""
    _account: Mapping[str, Any]

    def recognised(self, reply: Reply) -> bool:
        return reply.field("error", "code") is not None or reply.field("projects") is not None

    def code(self, reply: Reply) -> str | None:
        errors = reply.field("error", "errors")
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            return str(errors[0].get("reason"))
        found = reply.field("error")
        return found if isinstance(found, str) else None

    async def enter(self, recorder: Recorder) -> Reply:
        self._account = _service_account(self.access.secret("big_query_auth"))
        recorder.see(identity=self._account["client_email"])
        granted = await self._grant()
        self._token = str(granted.field("access_token") or "")
        if not self._token:
            return granted
        return await self._get_json(f"/bigquery/v2/projects/{quote(self.project)}/datasets?maxResults=1")

    async def list(self) -> tuple[Reply, bool]:
        return self._entered, bool(self._entered.field("datasets"))

    async def describe(self, name: str) -> Reply:
        dataset, _, table = name.partition(".")
        path = f"/bigquery/v2/projects/{quote(self.project)}/datasets/{quote(dataset)}"
        return await self._get_json(f"{path}/tables/{quote(table)}/data?maxResults=1" if table else path)

    def refusal(self, reply: Reply, **more: Any) -> StageFailed:
        failure = super().refusal(reply, **more)
        return StageFailed(**{**failure.evidence, "identity": str(self._account["client_email"])})

    async def _grant(self) -> Reply:
        from tasks.protocols.http.assertion import private_key, signed

        uri, now = str(self._account["token_uri"]), int(time.time())
        key = private_key(str(self._account["private_key"]), None, "big_query_auth")
        claims = {
            "iss": self._account["client_email"],
            "scope": _SCOPE,
            "aud": uri,
            "iat": now,
            "exp": now + _LIFETIME,
        }
        body = urlencode({"grant_type": _GRANT, "assertion": signed(claims, key)}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", urlsplit(uri).path or "/", headers, body, origin=Origin.of(uri))

    async def _get_json(self, target: str) -> Reply:
        return await self.ask("GET", target, {"authorization": f"Bearer {self._token}"})


def _service_account(text: str | None) -> Mapping[str, Any]:
    """The members of a service account's key file. Raises `StageFailed`."""
    try:
        found = json.loads(text or "")
    except ValueError:
        found = None
    wanted = ("client_email", "private_key", "token_uri")
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in wanted):
        raise StageFailed(bad_account=True)
    try:
        Origin.of(found["token_uri"])
    except ValueError:
        raise StageFailed(bad_account=True) from None
    return found


PROTOCOL = Protocol(
    name="bigquery",
    title="BigQuery",
    session=BigQuerySession,
    answers=answers(
        CODES,
        Answer(
            "CONFIG.BAD_VALUE",
            {"bad_account": True},
            component="big_query_auth",
            message="What is given as big_query_auth is no key file of a service account (client_email, private_key "
            "and token_uri in JSON).",
            remedy="Create a key for the service account in JSON form and give that file: file:PATH.",
        ),
    ),
    fingerprint="HTTP",
)
