"""Snowflake: the login and query requests of its drivers, error codes in JSON.

Sources: Snowflake's open drivers (requests and error numbers), "Using key-pair authentication". The service gives one
number to "not there" and "not authorised", so these stay two-fold.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from registry.verdict import INCONCLUSIVE
from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Answer, Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, ServiceSession, answers

CODES = Codes(
    refused=frozenset({"390100", "390144"}),
    not_admitted=frozenset({"390422", "390420"}),
    object_unclear=frozenset({"002003", "002043", "003001"}),
)
#: A statement that reads nothing without a table in it.
_PATH = "/session/v1/login-request"
_QUERY = "/queries/v1/query-request"
_LIFETIME = 60


class SnowflakeSession(ServiceSession):
    """One conversation with one account of Snowflake."""

    codes = CODES
    identity_field = "username"
    project_field = "database"
    _token = ""

    async def greet(self, recorder: Recorder) -> None:
        reply = await self._post(_PATH, {}, {"data": {}})
        if reply.field("success") is None or self.code(reply) is None:
            raise self._stranger(reply)
        recorder.see(**self._shown(reply.head))

    def code(self, reply: Reply) -> str | None:
        found = reply.field("code")
        return str(found) if reply.field("success") is False and found is not None else None

    async def enter(self, recorder: Recorder) -> Reply:
        wanted = {
            "databaseName": self.project,
            "warehouse": str(self.access.setting("warehouse_name", "")),
            "roleName": str(self.access.setting("role", "")),
        }
        data: dict[str, Any] = {
            "CLIENT_APP_ID": "headwater",
            "CLIENT_APP_VERSION": "1",
            "ACCOUNT_NAME": self._account,
            "LOGIN_NAME": str(self.access.setting("username", "")),
            **self._proof(),
        }
        reply = await self._post(_PATH, {key: value for key, value in wanted.items() if value}, {"data": data})
        self._token = str(reply.field("data", "token") or "")
        return reply

    async def login(self, recorder: Recorder) -> None:
        await super().login(recorder)
        if self.code(self._entered) is not None:
            raise self.refusal(self._entered)

    async def target(self, recorder: Recorder) -> None:
        await super().target(recorder)
        shown = self._entered.field("data", "sessionInfo", "databaseName")
        # A login succeeds whatever database it asks for; the session then has none.
        if self.project and not shown:
            raise StageFailed(database_unclear=True, **self.refusal(self._entered).evidence)

    async def list(self) -> tuple[Reply, bool]:
        reply = await self._statement("SHOW TERSE OBJECTS IN DATABASE LIMIT 1")
        return reply, bool(reply.field("data", "rowset"))

    async def describe(self, name: str) -> Reply:
        table = ".".join(_quoted(part) for part in name.split("."))
        return await self._statement(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - quoted part by part

    @property
    def _account(self) -> str:
        return str(self.access.host).partition(".")[0].upper()

    def _proof(self) -> Mapping[str, str]:
        key = self.access.secret("private_key_file_id")
        if key is None:
            return {"PASSWORD": self.access.secret("password") or ""}
        return {"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": self._assertion(key)}

    def _assertion(self, pem: str) -> str:
        """A JSON Web Token signed with the account's private key ("Using key-pair authentication")."""
        from cryptography.hazmat.primitives import serialization

        from tasks.protocols.http.assertion import private_key, signed

        key = private_key(pem, self.access.secret("private_key_password"), "private_key_file_id")
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        fingerprint = base64.b64encode(hashlib.sha256(public).digest()).decode()
        subject, now = f"{self._account}.{str(self.access.setting('username', '')).upper()}", int(time.time())
        return signed(
            {"iss": f"{subject}.SHA256:{fingerprint}", "sub": subject, "iat": now, "exp": now + _LIFETIME}, key
        )

    async def _statement(self, sql: str) -> Reply:
        query = {"requestId": str(uuid.uuid4())}
        return await self._post(_QUERY, query, {"sqlText": sql, "sequenceId": 1}, token=self._token)

    async def _post(self, path: str, query: Mapping[str, str], body: Mapping[str, Any], token: str = "") -> Reply:
        headers = {"content-type": "application/json", "accept": "application/json"}
        headers |= {"authorization": f'Snowflake Token="{token}"'} if token else {}
        target = path + (f"?{urlencode(query)}" if query else "")
        return await self.ask("POST", target, headers, json.dumps(body).encode())


def _quoted(part: str) -> str:
    """An identifier: as it is where it needs no quotes, so that it is folded to upper case as usual."""
    return part if re.fullmatch(r"[A-Za-z_][\w$]*", part) else '"' + part.strip('"').replace('"', '""') + '"'


PROTOCOL = Protocol(
    name="snowflake",
    title="Snowflake",
    session=SnowflakeSession,
    answers=answers(
        CODES,
        Answer(
            INCONCLUSIVE,
            {"database_unclear": True},
            stage="target",
            alternatives=("TARGET.MISSING", "TARGET.NO_CONNECT"),
            component="{project}",
            message="{identity} is logged in to {host}, and the session has no database {project}: it is not there, or "
            "{identity} may not use it.",
            remedy="Ask the owner of the account whether {project} is there; if it is, GRANT USAGE ON DATABASE "
            "{project} to the role of {identity}.",
        ),
        Answer(
            INCONCLUSIVE,
            {"error_code": bool},
            stage="login",
            alternatives=("AUTH.LOGIN_FORBIDDEN", "AUTH.EXPIRED_OR_LOCKED"),
            component="{identity}",
            message="{host} refuses the login of {identity} with its error {error_code}.",
            remedy="Look the error {error_code} up in Snowflake's login history: SELECT * FROM "
            "TABLE(INFORMATION_SCHEMA.LOGIN_HISTORY_BY_USER('{identity}')).",
        ),
        Answer(
            "SERVER.ERROR",
            {"error_code": bool},
            stage="privilege",
            component="{object}",
            message="{host} cannot read {object}: its error {error_code}.",
            remedy="Run the same statement in a worksheet; error 000606 wants a warehouse_name that the role may use.",
        ),
    ),
    fingerprint="HTTP",
)
