"""Salesforce: the public list of API versions, an OAuth refresh, then the REST API.

Sources: "REST API Developer Guide" (versions, describe, error codes), "OAuth 2.0 refresh token flow".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Answer, Protocol, Unsupported
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, ServiceSession, answers

CODES = Codes(
    refused=frozenset({"invalid_client_id", "invalid_client", "INVALID_AUTH_HEADER"}),
    expired=frozenset({"invalid_grant", "INVALID_SESSION_ID"}),
    not_admitted=frozenset({"IP_RESTRICTED"}),
    shut_out=frozenset({"inactive_user", "inactive_org", "API_DISABLED_FOR_ORG"}),
    object_unclear=frozenset({"NOT_FOUND", "INVALID_TYPE"}),
    denied=frozenset({"INSUFFICIENT_ACCESS", "FUNCTIONALITY_NOT_ENABLED"}),
    busy=frozenset({"REQUEST_LIMIT_EXCEEDED"}),
)


class SalesforceSession(ServiceSession):
    """One conversation with one instance of Salesforce."""

    codes = CODES
    hello = "/services/data/"
    identity_field = "client_id"
    project_field = "instance_url"
    _token = ""
    _versions: frozenset[str] = frozenset()

    async def greet(self, recorder: Recorder) -> None:
        reply = await self.ask("GET", self.hello)
        listed = reply.json()
        if not isinstance(listed, list) or not all(isinstance(one, dict) and "version" in one for one in listed):
            raise self._stranger(reply)
        self._versions = frozenset(f"v{one['version']}" for one in listed)
        recorder.see(**self._shown(reply.head), newest_version=str(listed[-1]["version"]) if listed else None)

    def code(self, reply: Reply) -> str | None:
        found: Any = reply.json()
        if isinstance(found, list) and found and isinstance(found[0], dict) and "errorCode" in found[0]:
            return str(found[0]["errorCode"])
        error = reply.field("error")
        return error if isinstance(error, str) else None

    def may_log_in(self) -> None:
        if not self.access.setting("client_id"):
            raise Unsupported("a refresh token without the client_id of the connected app that it was issued to")

    async def enter(self, recorder: Recorder) -> Reply:
        form = {
            "grant_type": "refresh_token",
            "client_id": str(self.access.setting("client_id", "")),
            "refresh_token": self.access.secret("refresh_token") or "",
        }
        secret = self.access.secret("client_secret")
        form |= {"client_secret": secret} if secret else {}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        granted = await self.ask("POST", "/services/oauth2/token", headers, urlencode(form).encode())
        self._token = str(granted.field("access_token") or "")
        return await self._get_json("/sobjects/") if self._token and self._version in self._versions else granted

    async def target(self, recorder: Recorder) -> None:
        if self._version not in self._versions:
            raise StageFailed(version_missing=self._version, versions=sorted(self._versions)[-5:])
        await super().target(recorder)

    async def list(self) -> tuple[Reply, bool]:
        return self._entered, bool(self._entered.field("sobjects"))

    async def describe(self, name: str) -> Reply:
        return await self._get_json(f"/sobjects/{quote(name)}/describe/")

    @property
    def _version(self) -> str:
        return str(self.access.setting("api_version", "v58.0"))

    async def _get_json(self, path: str) -> Reply:
        headers = {"authorization": f"Bearer {self._token}"}
        return await self.ask("GET", f"/services/data/{self._version}{path}", headers)


PROTOCOL = Protocol(
    name="salesforce",
    title="Salesforce",
    session=SalesforceSession,
    answers=answers(
        CODES,
        Answer(
            "CONFIG.BAD_VALUE",
            {"version_missing": bool},
            component="api_version",
            message="{host} does not serve the API version {version_missing}; its newest ones are {versions}.",
            remedy="Set api_version of {source}/{env} to one of these.",
        ),
    ),
    fingerprint="HTTP",
)
