"""Milvus and Zilliz: the RESTful API, version 2; `code` 0 is success, whatever the HTTP status.

Sources: "Milvus RESTful API" (v2) and the error codes of Milvus' own source (`merr`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.evidence import Recorder
from tasks.protocols import Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, ServiceSession, answers

#: 1800: no or wrong credentials; 800: database not found; 100: collection not found; 1400 and up: privileges.
CODES = Codes(
    refused=frozenset({"1800", "80001"}),
    target_missing=frozenset({"800"}),
    object_missing=frozenset({"100"}),
    denied=frozenset({"1401", "1405"}),
    busy=frozenset({"8", "9"}),
)
_LIST, _DESCRIBE = "/v2/vectordb/collections/list", "/v2/vectordb/collections/describe"


class MilvusSession(ServiceSession):
    """One conversation with one Milvus."""

    codes = CODES
    identity_field = "username"
    project_field = "database"

    async def greet(self, recorder: Recorder) -> None:
        reply = await self._post(_LIST, {}, known=False)
        if not isinstance(reply.field("code"), int):
            raise self._stranger(reply)
        recorder.see(**self._shown(reply.head))

    def code(self, reply: Reply) -> str | None:
        found = reply.field("code")
        return str(found) if isinstance(found, int) and found not in (0, 200) else None

    async def enter(self, recorder: Recorder) -> Reply:
        return await self._post(_LIST, self._database)

    async def list(self) -> tuple[Reply, bool]:
        return self._entered, bool(self._entered.field("data"))

    async def describe(self, name: str) -> Reply:
        return await self._post(_DESCRIBE, {**self._database, "collectionName": name})

    @property
    def project(self) -> str:
        return str(self.access.setting("database", "default"))

    @property
    def _database(self) -> Mapping[str, str]:
        named = str(self.access.setting("database", ""))
        return {"dbName": named} if named else {}

    async def _post(self, path: str, body: Mapping[str, Any], *, known: bool = True) -> Reply:
        headers = {"content-type": "application/json"}
        if known:
            login = f"{self.access.setting('username', '')}:{self.access.secret('password') or ''}"
            headers["authorization"] = f"Bearer {login}"
        return await self.ask("POST", self._path.rstrip("/") + path, headers, json.dumps(body).encode())


PROTOCOL = Protocol(name="milvus", title="Milvus", session=MilvusSession, answers=answers(CODES), fingerprint="HTTP")
