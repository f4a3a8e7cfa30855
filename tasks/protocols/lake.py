"""Lake catalogs behind REST (Paimon's REST catalog, Data Lake Formation): whether one answers, without a login."""

from __future__ import annotations

from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Protocol, Unsupported
from tasks.protocols.http.rest import OTHER_SERVICE, STATUS_ANSWERS, TRANSPORT_ANSWERS, RestSession

#: The configuration request of the REST catalog's open specification, which carries no credentials here.
_CONFIG = "/v1/config"


class LakeSession(RestSession):
    """One conversation with one catalog server."""

    async def greet(self, recorder: Recorder) -> None:
        reply = await self.ask("GET", self._path.rstrip("/") + _CONFIG)
        if reply.json() is None:
            raise StageFailed(not_protocol=True, looks_like=OTHER_SERVICE, first_bytes=f"HTTP {reply.status}")
        recorder.see(**self._shown(reply.head))

    async def login(self, recorder: Recorder) -> None:
        identity = self.access.setting("auth_type", "the catalog's own")
        raise Unsupported(f"the login of a lake catalog (identity: {identity})")


PROTOCOL = Protocol(
    name="lake",
    title="a lake catalog",
    session=LakeSession,
    answers=(*TRANSPORT_ANSWERS, *STATUS_ANSWERS),
    fingerprint="HTTP",
)
