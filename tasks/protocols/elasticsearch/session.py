"""One conversation with one cluster."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.protocols.http.rest import OTHER_SERVICE, Reply, RestSession
from tasks.protocols.http.session import clock_skew

_ERROR_TYPE = re.compile(r"[a-z_]{3,80}")


class SearchSession(RestSession):
    """One conversation with one cluster."""

    async def greet(self, recorder: Recorder) -> None:
        reply = await self.ask("GET", self._at("/"))
        if not self._is_search(reply):
            raise StageFailed(not_protocol=True, looks_like=OTHER_SERVICE, first_bytes=f"HTTP {reply.status}")
        recorder.see(**self._shown(reply.head), **_about(reply), clock_skew_s=clock_skew(reply.head))
        if reply.status >= 500 or reply.status == 429:
            raise self._refused(reply)

    async def login(self, recorder: Recorder) -> None:
        if self._method == "none":
            if self._anonymous.status in (401, 403):
                raise StageFailed(http_status=401, configured="none", server_said=f"HTTP {self._anonymous.status}")
            raise StageSkipped("no credentials are configured, and the cluster asks for none")
        reply = await self._asked("/")
        recorder.see(http_status=reply.status, **_about(reply))
        # An account without the right to look at the cluster's name is refused only after it is recognised.
        if reply.status != 403 and reply.status >= 400:
            raise self._refused(reply)
        if self._anonymous.status < 300:
            recorder.warn(
                not_needed="the cluster answers without credentials as well: the configured ones are not proved"
            )

    async def target(self, recorder: Recorder) -> None:
        reply = await self._asked("/_cluster/health?timeout=1s")
        status = reply.field("status")
        if reply.status in (403, 404):
            raise StageSkipped("the account may not see the cluster's health")
        if reply.status not in (200, 408):
            raise self._refused(reply)
        if status == "red":
            recorder.warn(cluster_status="red", unassigned_shards=_number(reply.field("unassigned_shards")))
        else:
            recorder.see(cluster_status=status if isinstance(status, str) else None)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            await self._search(name)
        if objects:
            recorder.see(objects=list(objects))
            return
        if await self._search("") == 0:
            recorder.warn(nothing_to_read="the cluster shows this account no index")

    async def _search(self, name: str) -> int:
        """How many shards were asked. Raises `StageFailed` for an index that is not there or cannot be read."""
        path = f"/{quote(name, safe='*,-_.')}" if name else ""
        reply = await self._asked(f"{path}/_search?size=0&terminate_after=1")
        if reply.status != 200:
            raise self._refused(reply, object=name or "any index")
        total, failed = _number(reply.field("_shards", "total")), _number(reply.field("_shards", "failed"))
        if name and total == 0:
            raise StageFailed(object_missing=True, object=name, database="the cluster")
        if failed and failed == total:
            raise StageFailed(no_shards=True, object=name or "any index", server_said=f"{failed} shards failed")
        return total or 0

    async def _asked(self, target: str) -> Reply:
        credentials = {"authorization": self._authorization} if self._authorization else {}
        return await self.ask("GET", self._at(target), credentials)

    def _at(self, target: str) -> str:
        """A target below the path of the endpoint."""
        return f"{self._path.rstrip('/')}{target}"

    def _is_search(self, reply: Reply) -> bool:
        if "x-elastic-product" in reply.head.headers or _error_type(reply) or _about(reply):
            return True
        # A proxy before a cluster may ask for the login itself.
        return reply.status == 401 and bool(reply.head.schemes)

    def _refused(self, reply: Reply, **more: Any) -> StageFailed:
        kind = _error_type(reply)
        found = {
            **self._shown(reply.head),
            "error_type": kind,
            "server_said": f"HTTP {reply.status}{f', {kind}' if kind else ''}",
            "configured": self._method,
            **more,
        }
        return StageFailed(**{key: value for key, value in found.items() if value is not None})


def _about(reply: Reply) -> dict[str, Any]:
    """Product, version and cluster, of the answer to `GET /`."""
    number, name = reply.field("version", "number"), reply.field("cluster_name")
    if not isinstance(number, str) or not isinstance(name, str):
        return {}
    product = reply.field("version", "distribution")
    return {
        "product": product if isinstance(product, str) else "elasticsearch",
        "server_version": number,
        "cluster": name,
    }


def _error_type(reply: Reply) -> str | None:
    kind = reply.field("error", "type")
    return kind if isinstance(kind, str) and _ERROR_TYPE.fullmatch(kind) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
