"""The conversation with one Gremlin server: a method a stage."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.graph_database.answers import AUTHENTICATE, NO_CONTENT, OK, PARTIAL
from tasks.protocols.hanging_up import look_again
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Stream, printable

if TYPE_CHECKING:
    from websockets.client import ClientProtocol

#: Untyped JSON is the one form that every server has; its length stands before it.
_MIME = b"application/json"
_PASSED = frozenset({OK, NO_CONTENT, PARTIAL})
_MOST_FRAMES = 64
_BAD_REQUEST = 400
#: A vertex of any label; the question that a login is tried with asks for nothing.
_NOTHING, _ANY, _LABELLED = "1", "g.V().limit(1).count()", "g.V().hasLabel(label).limit(1).count()"


class Malformed(ValueError):
    """Words that no Gremlin server says."""


class GremlinSession(TlsFirst):
    """One conversation with one Gremlin server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self._socket: ClientProtocol | None = None

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        from websockets.client import ClientProtocol
        from websockets.exceptions import InvalidStatus
        from websockets.uri import parse_uri

        host = f"[{self.access.host}]" if ":" in self.access.host else self.access.host
        socket = self._socket = ClientProtocol(parse_uri(f"ws://{host}:{self.access.port}/gremlin"), max_size=1 << 20)
        socket.send_request(socket.connect())
        await self._flush()
        heard = b""
        while socket.state.name == "CONNECTING" and socket.handshake_exc is None:
            data = await self.stream.receive()
            heard += data[:64]
            socket.receive_data(data)
            if len(heard) >= 5 and not heard.startswith(b"HTTP/"):
                raise StageFailed(not_protocol=True, first_bytes=printable(heard[:48]), looks_like=identify(heard))
        if isinstance(refused := socket.handshake_exc, InvalidStatus):
            status = refused.response.status_code
            raise StageFailed(http_status=status, server_said=f"HTTP {status}")
        if socket.handshake_exc is not None:
            raise StageFailed(not_protocol=True, first_bytes=printable(heard[:48]), looks_like=identify(heard))
        recorder.see(websocket=True)

    async def login(self, recorder: Recorder) -> None:
        status, _ = await self._ask("eval", gremlin=_NOTHING, language="gremlin-groovy")
        if status == AUTHENTICATE:
            username, password = self.access.setting("username"), self.access.secret("password")
            if not username:
                raise StageFailed(no_password=True)
            token = base64.b64encode(f"\0{username}\0{password or ''}".encode()).decode()
            status, _ = await self._ask("authentication", sasl=token, saslMechanism="PLAIN")
            if status == AUTHENTICATE:
                raise StageFailed(method="SASL in several steps", unsupported=True)
            recorder.see(method="PLAIN")
        elif not self.access.setting("username"):
            self._expect(status)
            raise StageSkipped("no credentials are configured, and the server asks for none")
        self._expect(status)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for label in objects:
            if not await self._count(_LABELLED, object=label, bindings={"label": label}):
                raise StageFailed(object_missing=True, object=label)
        if objects:
            recorder.see(objects=list(objects))
        elif not await self._count(_ANY, object="any vertex"):
            recorder.warn(nothing_to_read="the graph has no vertices yet")

    async def close(self) -> None:
        try:
            if self._socket is not None and self._socket.state.name == "OPEN":
                self._socket.send_close()
                await self._flush()
        except Exception:  # noqa: S110 - a goodbye is never worth an error
            pass
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        if stage == "greet" and evidence.get("http_status") == _BAD_REQUEST and not self.access.tls.wanted:
            # What web servers say to plaintext on a port for TLS.
            outcome = await retry(self.access.over(replace(self.access.tls, mode="require")), until="greet")
            return {"over_tls": "answers"} if outcome.stage is None else {}
        return await look_again(self.access, stage, evidence, retry)

    # -- questions ----------------------------------------------------------------------------------------------------

    async def _count(self, gremlin: str, object: str, **arguments: Any) -> int:
        status, data = await self._ask("eval", gremlin=gremlin, language="gremlin-groovy", **arguments)
        self._expect(status, object=object)
        numbers = [one for one in data if isinstance(one, int)]
        return numbers[0] if numbers else 0

    def _expect(self, status: int, **more: Any) -> None:
        if status not in _PASSED:
            raise StageFailed(gremlin_status=status, server_said=f"status {status}", **more)

    async def _ask(self, operation: str, **arguments: Any) -> tuple[int, list[Any]]:
        """The status and the values of the answer to one request."""
        assert self._socket is not None  # noqa: S101 - the greeting has made it
        request = {"requestId": str(uuid.uuid4()), "op": operation, "processor": "", "args": arguments}
        self._socket.send_binary(bytes([len(_MIME)]) + _MIME + json.dumps(request).encode())
        await self._flush()
        values: list[Any] = []
        status = PARTIAL
        while status == PARTIAL:
            status, more = _response(await self._frame())
            values += more
        return status, values

    async def _frame(self) -> bytes:
        """The data of the next whole message."""
        socket, data = self._socket, b""
        assert socket is not None  # noqa: S101 - as above
        for _ in range(_MOST_FRAMES):
            events = socket.events_received()
            for event in events:
                opcode = getattr(getattr(event, "opcode", None), "name", "")
                if opcode in ("TEXT", "BINARY", "CONT"):
                    data += event.data  # type: ignore[union-attr]
                    if event.fin:  # type: ignore[union-attr]
                        return data
            socket.receive_data(await self.stream.receive())
            await self._flush()  # pings are answered by what the library has to send
        raise Malformed("frames without end")

    async def _flush(self) -> None:
        assert self._socket is not None  # noqa: S101 - as above
        for data in self._socket.data_to_send():
            if data:
                await self.stream.send(data)


def _response(data: bytes) -> tuple[int, list[Any]]:
    """Status code and values of one response. Raises `Malformed`."""
    try:
        found = json.loads(data)
        status = found["status"]["code"]
        values = _untyped((found.get("result") or {}).get("data"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Malformed("a response without a status") from None
    if not isinstance(status, int):
        raise Malformed("a status that is no number")
    return status, values if isinstance(values, list) else []


def _untyped(value: Any) -> Any:
    """GraphSON's `{"@type": ..., "@value": ...}` without its types."""
    if isinstance(value, Mapping) and "@value" in value:
        return _untyped(value["@value"])
    return [_untyped(one) for one in value] if isinstance(value, list) else value
