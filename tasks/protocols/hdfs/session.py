"""One conversation with one NameNode, and a call on the DataNodes that it names."""

from __future__ import annotations

from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.kerberos.access import configured
from tasks.protocols import Access, Dial, Session
from tasks.protocols.advertised import reach
from tasks.protocols.hdfs.wire import INITIATE, RESPONSE, DataNode, Offer, Refusal, Wire, is_directory
from tasks.streams import Stream, printable


class HdfsSession(Session):
    """One conversation with one NameNode."""

    order = ("greet", "tls", "admit", "login", "target", "privilege")

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.wire = Wire(stream)
        self._root: bytes | Refusal = b""
        self._offers: tuple[Offer, ...] = ()
        self._begun = False

    async def greet(self, recorder: Recorder) -> None:
        by_ticket = configured(self.access)
        await (self.wire.ask_for_sasl() if by_ticket else self.wire.begin(self._user))
        first = await self.wire.reader.peek(32)
        looks_like = identify(first)
        if first[0] or looks_like not in (None, "Hadoop RPC"):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        if by_ticket:
            said = await self.wire.sasl_answer()
            if isinstance(said, Refusal):
                raise _refused(said)
            self._offers = said.offers
            recorder.see(methods=[offer.method for offer in said.offers])
        else:
            await self._look_at_root(recorder)

    async def login(self, recorder: Recorder) -> None:
        if configured(self.access):
            await self._log_in_by_ticket(recorder)
            await self.wire.go_on()
            await self._look_at_root(recorder)
        if isinstance(self._root, Refusal) and self._root.fatal:
            raise _refused(self._root)
        recorder.see(user=recorder.evidence.get("principal", self._user))

    async def _look_at_root(self, recorder: Recorder) -> None:
        self._root = refusal = await self.wire.answer()
        recorder.see(root="refused" if isinstance(refusal, Refusal) else "there")
        if isinstance(refusal, Refusal) and not refusal.fatal and not _of_reading(refusal):
            raise _refused(refusal)

    async def _log_in_by_ticket(self, recorder: Recorder) -> None:
        """The server names its principal, unless the configuration does."""
        from tasks.kerberos.access import client_of
        from tasks.kerberos.sasl import Service, authenticate

        offer = next((one for one in self._offers if one.method == "KERBEROS"), None)
        if offer is None:
            raise StageFailed(no_kerberos=True, method=", ".join(one.method for one in self._offers) or "SIMPLE")

        async def exchange(token: bytes) -> bytes:
            first = not self._begun
            self._begun = True
            await self.wire.say(INITIATE if first else RESPONSE, token, offer if first else None)
            said = await self.wire.sasl_answer()
            if isinstance(said, Refusal):
                raise _refused(said)
            return said.token

        named = self.access.setting("hadoop_config", {}).get("dfs.namenode.kerberos.principal")
        service = Service.parse(named, self.access.host) if named else Service(offer.protocol, offer.server)
        await authenticate(client_of(self.access, self.dial), service, recorder, exchange)

    async def target(self, recorder: Recorder) -> None:
        raise StageSkipped("a file system has no name of its own; the paths are what is configured")

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for path in objects or ("/",):
            await self._read(path if path.startswith("/") else f"/{path}", recorder)
        recorder.see(objects=list(objects) or None)

    async def _read(self, path: str, recorder: Recorder) -> None:
        """A directory is listed; of a file the servers that hold its first block are reached."""
        status = await self.wire.file(path)
        if isinstance(status, Refusal):
            raise _refused(status, object=path)
        if status is None:
            raise StageFailed(object_missing=True, object=path, database="the file system")
        found = await (self.wire.listing(path) if is_directory(status) else self.wire.data_nodes(path))
        if isinstance(found, Refusal):
            raise _refused(found, object=path)
        if isinstance(found, list) and found:
            await self._reach(found, recorder)

    async def _reach(self, nodes: list[DataNode], recorder: Recorder) -> None:
        """One of the DataNodes of a block, as a reader would."""
        by_name = self.access.setting("by_host_name", False)
        failures = []
        for node in nodes:
            host = node.name if by_name else node.address
            try:
                stream = await reach(self.dial, self.access, host, node.port, "a DataNode that holds the file")
            except StageFailed as failure:
                failures.append(failure)
                continue
            stream.close()
            recorder.see(data_node=f"{host}:{node.port}")
            break
        if len(failures) == len(nodes):
            raise failures[0]
        if failures:
            recorder.warn(unreached=[str(failure.evidence.get("advertised")) for failure in failures])

    @property
    def _user(self) -> str:
        return str(self.access.setting("username", "hadoop"))


def _of_reading(refusal: Refusal) -> bool:
    """Whether it is about the root, which a client may be forbidden to look at."""
    return refusal.exception.endswith(".AccessControlException")


def _refused(refusal: Refusal, **more: Any) -> StageFailed:
    name = refusal.exception.rpartition(".")[2]
    return StageFailed(
        exception=printable(name.encode()), fatal=refusal.fatal, server_said=printable(name.encode()), **more
    )
