"""One conversation with one ZooKeeper server, and a call on the server of HBase that it names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry, Session, Unsupported
from tasks.protocols.advertised import reach
from tasks.protocols.hbase.wire import NO_NODE, OK, Wire, server_name
from tasks.streams import Stream, StreamBroken, printable
from tasks.vantages import ConnectFailed

#: What `srvr` answers when there is no quorum (ZooKeeper administrator's guide, "Four Letter Words").
_NOT_SERVING = b"This ZooKeeper instance is not currently serving requests"
#: Where HBase says which server to begin with; from HBase 3 on it is the master alone.
_FIRST = (("meta-region-server", "region server"), ("master", "master"))
_SHOWN = 20
_KERBEROS = "authTypeKerberos"


class HBaseSession(Session):
    """One conversation with one ZooKeeper server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self._method = access.setting("security_protocol")
        # Without a ticket nobody logs in to ZooKeeper: what may be read so comes before the login at HBase.
        if self._method != _KERBEROS:
            self.order = ("greet", "tls", "admit", "target", "login", "privilege")
        self.wire = Wire(stream)
        self._connected = False
        self._server: Stream | None = None

    async def greet(self, recorder: Recorder) -> None:
        await self.wire.connect()
        first = await self.wire.reader.peek(32)
        looks_like = identify(first)
        if first[:2] != b"\0\0" or looks_like not in (None, "ZooKeeper"):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        if not await self.wire.connected():
            raise StageFailed(session_refused=True, server_said="no session")
        self._connected = True
        recorder.see(session=True)

    async def target(self, recorder: Recorder) -> None:
        parent = str(self.access.setting("parent", "/hbase"))
        error, names = await self.wire.children(parent)
        if error:
            # Whom it does not serve without a login, it sends away.
            others = (await self.wire.children("/"))[1] if error == NO_NODE else []
            raise StageFailed(zk_error=error, znode=parent, others=others[:_SHOWN], server_said=f"error {error}")
        recorder.see(znode=parent, children=names[:_SHOWN])
        for name, role in _FIRST:
            error, data = await self.wire.data(f"{parent.rstrip('/')}/{name}")
            if error == OK:
                await self._named(data, f"{parent.rstrip('/')}/{name}", role, recorder)
                return
            if error != NO_NODE:
                raise StageFailed(zk_error=error, znode=f"{parent}/{name}", server_said=f"error {error}")
        raise StageFailed(not_running=True, znode=parent)

    async def login(self, recorder: Recorder) -> None:
        if self._method == _KERBEROS:
            await self._kerberos(recorder)
        elif self._method == "authTypeClientPassword":
            raise Unsupported("the login with a password on HBase")
        else:
            raise StageSkipped("no login is configured")

    async def privilege(self, recorder: Recorder) -> None:
        raise Unsupported("reading a table of HBase")

    async def close(self) -> None:
        if self._connected:
            with suppress(StreamBroken):
                await self.wire.end()
        if self._server is not None:
            self._server.close()
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """A server without a quorum hangs up; asked by a word of four letters, it says so."""
        if stage != "greet" or evidence.get("broken") not in ("eof", "reset"):
            return {}
        try:
            stream = await self.dial()
        except ConnectFailed:
            return {}
        try:
            await stream.send(b"srvr")
            return {"no_quorum": True} if (await stream.receive()).startswith(_NOT_SERVING) else {}
        finally:
            stream.close()

    async def _kerberos(self, recorder: Recorder) -> None:
        """Log in to ZooKeeper, where it knows Kerberos; HBase's clients go on without where it does not."""
        from tasks.kerberos.access import client_of
        from tasks.kerberos.sasl import Service, authenticate

        async def exchange(token: bytes) -> bytes:
            error, said = await self.wire.sasl(token)
            if error:
                raise StageFailed(zk_error=error, server_said=f"error {error}")
            # The last answer has no token either.
            if said is None and "security_layers" not in recorder.evidence:
                raise StageSkipped("this ZooKeeper asks nobody to log in")
            return said or b""

        name = self.access.setting("hbase_config", {}).get("zookeeper.sasl.client.username", "zookeeper")
        await authenticate(client_of(self.access, self.dial), Service(name, self.access.host), recorder, exchange)

    async def _named(self, data: bytes, znode: str, role: str, recorder: Recorder) -> None:
        """Reach the server that a znode names."""
        try:
            host, port = server_name(data)
        except (ValueError, LookupError):
            raise StageFailed(unreadable=True, znode=znode) from None
        recorder.see(first_server=f"{host}:{port}", first_role=role)
        self._server = await reach(self.dial, self.access, host, port, f"the {role} of HBase")
