"""One conversation with one broker, and those with the brokers that it sends clients on to."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.advertised import named, reach
from tasks.protocols.hanging_up import over_tls
from tasks.protocols.kafka import wire
from tasks.protocols.kafka.wire import Broker, Metadata, Topic, Wire
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import TlsMaterial, may_want_tls, start_tls

#: Brokers of a cluster that are dialled.
_MOST_BROKERS = 24
_NONE, _OFFSET_OUT_OF_RANGE = 0, 1
_KERBEROS = "GSSAPI"
#: SASL mechanism of the configuration -> its name on the wire.
_MECHANISMS = {
    "gssapi": _KERBEROS,
    "plain": "PLAIN",
    "scram-sha-256": "SCRAM-SHA-256",
    "scram-sha-512": "SCRAM-SHA-512",
}


class KafkaSession(TlsFirst):
    """One conversation with one bootstrap server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.wire = Wire(stream)
        self._old = False
        self._streams: dict[int, Stream] = {}
        self._wires: dict[int, Wire] = {}
        self._unreached: dict[int, StageFailed] = {}
        self._metadata = Metadata(None, -1, (), ())

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.wire = Wire(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        versions = await _versions(self.wire)
        recorder.see(apis=len(versions), metadata_versions=f"{versions[3][0]}-{versions[3][1]}")
        self._old = versions[3][1] < wire.METADATA[1]
        for key, version in (wire.OLD_METADATA if self._old else wire.METADATA, wire.LIST_OFFSETS, wire.FETCH):
            lowest, highest = versions.get(key, (-1, -1))
            if not lowest <= version <= highest:
                raise StageFailed(other_version=f"API {key} from {lowest} to {highest}", server_said="error code 35")

    async def login(self, recorder: Recorder) -> None:
        if not self._sasl:
            raise StageSkipped("SASL is not configured")
        recorder.see(mechanism=await self._authenticate(self.wire, self.access.host, recorder), authenticated=True)

    async def target(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        ask = self.wire.old_metadata if self._old else self.wire.metadata
        self._metadata = await ask(objects or None)
        brokers = self._metadata.brokers
        recorder.see(
            cluster=self._metadata.cluster,
            brokers=[f"{broker.node}: {broker.host}:{broker.port}" for broker in brokers[:_MOST_BROKERS]],
        )
        await asyncio.gather(*(self._dialled(broker) for broker in brokers[:_MOST_BROKERS]))
        needed = {partition.leader for topic in self._bound() for partition in topic.partitions}
        lost = [node for node in self._unreached if node in needed] or list(self._unreached)
        if lost and (needed & set(lost) or len(self._unreached) == len(brokers)):
            raise self._unreached[lost[0]]
        if self._unreached:
            recorder.warn(unreached=[_told(failure) for failure in self._unreached.values()])

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        topics = self._bound()
        if not objects:
            topics = [topic for topic in topics if not topic.internal and not topic.error][:1]
        for topic in topics:
            await self._read(topic)
        if objects:
            recorder.see(objects=list(objects))
        elif topics:
            recorder.see(read=topics[0].name)
        else:
            recorder.warn(nothing_to_read="the cluster shows this client no topic")

    async def close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """A broker hangs up on TLS, plaintext or a missing login without a word: each is tried the other way."""
        wanted = self.access.tls.wanted
        if stage == "greet" and not wanted and may_want_tls(evidence):
            return await over_tls(self.access, retry)
        if stage == "tls" and wanted and "verify_code" not in evidence:
            outcome = await retry(self.access.over(TlsMaterial(mode="disable")), until="greet")
            return {"in_clear": "answers"} if outcome.stage is None else {}
        if stage == "target" and not self._sasl and evidence.get("broken") in ("eof", "reset"):
            return await self._asks_for_sasl()
        return {}

    # -- login --------------------------------------------------------------------------------------------------------

    @property
    def _sasl(self) -> bool:
        return bool(self.access.setting("sasl", False))

    async def _authenticate(self, channel: Wire, host: str, recorder: Recorder) -> str:
        """Prove the account to a broker; gives the mechanism. Raises `StageFailed` with the broker's error code."""
        mechanism = _MECHANISMS[str(self.access.setting("sasl_mechanism"))]
        answer = await channel.ask(wire.SASL_HANDSHAKE, wire.text(mechanism))
        error, offered = answer.int16(), answer.array(answer.text)
        if error:
            method = ", ".join(printable((name or "").encode()) for name in offered)
            raise _refused(error, method=method or "another way", configured=mechanism)
        username, password = str(self.access.setting("sasl_username", "")), self.access.secret("sasl_password") or ""
        if mechanism == _KERBEROS:
            await self._kerberos(channel, host, recorder)
        elif mechanism == "PLAIN":
            await _token(channel, f"\0{username}\0{password}".encode())
        else:
            await _scram(channel, mechanism, username, password)
        return mechanism

    async def _kerberos(self, channel: Wire, host: str, recorder: Recorder) -> None:
        """As whom and to which service is told by the configuration of the client, or by JAAS."""
        from tasks.kerberos import jaas, sasl
        from tasks.kerberos.access import client_of

        given = jaas.options(self.access.secret("jaas_file_conf") or "", "KafkaClient")
        config = self.access.setting("kafka_config", {})
        name = config.get("sasl.kerberos.service.name") or given.get("serviceName") or "kafka"
        principal = self.access.setting("username") or given.get("principal", "")
        client = client_of(self.access, self.dial, principal)
        await sasl.authenticate(client, sasl.Service(name, host), recorder, lambda token: _token(channel, token))

    async def _asks_for_sasl(self) -> dict[str, Any]:
        """Whether the listener is one that clients log in to: only such a one answers a SASL handshake with a list."""
        stream = await self.dial()
        try:
            if self.access.tls.wanted:
                stream, _ = await start_tls(stream, self.access.tls, self.access.host)
            channel = Wire(stream)
            await _versions(channel)
            answer = await channel.ask(wire.SASL_HANDSHAKE, wire.text("PLAIN"))
            error, offered = answer.int16(), answer.array(answer.text)
            return {"asks_for_sasl": True, "method": ", ".join(name or "" for name in offered)} if error != 34 else {}
        finally:
            stream.close()

    # -- the brokers --------------------------------------------------------------------------------------------------

    def _bound(self) -> Sequence[Topic]:
        return self._metadata.topics

    async def _dialled(self, broker: Broker) -> None:
        """Reach a broker by the address that it advertises, or note why not."""
        here = (self.access.host, self.access.address)
        if broker.host in here and broker.port == self.access.port:
            self._wires[broker.node] = self.wire
            return
        try:
            stream = await reach(self.dial, self.access, broker.host, broker.port, f"broker {broker.node}")
            self._streams[broker.node] = stream
            if self.access.tls.wanted:
                self._streams[broker.node], _ = await start_tls(stream, self.access.tls, broker.host)
        except StageFailed as failure:
            self._unreached[broker.node] = _about(failure, broker)

    async def _broker(self, node: int) -> Wire:
        """A conversation with a broker that was reached, logged in."""
        if node not in self._wires:
            broker = next((one for one in self._metadata.brokers if one.node == node), None)
            if broker is None or node not in self._streams:
                raise StageFailed(error_code=5, server_said=f"no leader among the brokers ({node})")
            channel, recorder = Wire(self._streams[node]), Recorder()
            try:
                await _versions(channel)
                if self._sasl:
                    await self._authenticate(channel, broker.host, recorder)
            except StreamBroken as broken:
                raise _about(StageFailed(**recorder.evidence, **broken.evidence()), broker) from None
            except StageFailed as failure:
                found = {**recorder.evidence, **failure.evidence}
                if "method" in recorder.evidence:  # Kerberos: its own causes say more than where it failed
                    raise StageFailed(**found, address=broker.host, port=broker.port) from None
                raise _about(StageFailed(**found), broker) from None
            self._wires[node] = channel
        return self._wires[node]

    async def _read(self, topic: Topic) -> None:
        """Read from the beginning of a partition: nothing is consumed, no offset is committed."""
        if topic.error:
            raise _refused(topic.error, object=topic.name)
        for partition in topic.partitions[:1]:
            channel = await self._broker(partition.leader)
            error, offset = await channel.first_offset(topic.name, partition.index)
            error = error or await channel.fetch(topic.name, partition.index, offset)
            if error not in (_NONE, _OFFSET_OUT_OF_RANGE):
                raise _refused(error, object=topic.name)


async def _versions(channel: Wire) -> dict[int, tuple[int, int]]:
    """API key -> lowest and highest version. Raises `StageFailed` for a peer that is no Kafka."""
    try:
        answer = await channel.ask(wire.API_VERSIONS)
    except StreamBroken as broken:
        if broken.error != "PROTOCOL":
            raise
        raise StageFailed(
            not_protocol=True, first_bytes=printable(channel.head), looks_like=identify(channel.head)
        ) from None
    error = answer.int16()
    found = {answer.int16(): (answer.int16(), answer.int16()) for _ in range(max(answer.int32(), 0))}
    if error not in (0, 35) or wire.METADATA[0] not in found:
        raise StageFailed(not_protocol=True, first_bytes="", looks_like="something else")
    return found


async def _token(channel: Wire, token: bytes) -> bytes:
    answer = await channel.ask(wire.SASL_AUTHENTICATE, struct.pack("!i", len(token)) + token)
    error = answer.int16()
    answer.text()  # words for people
    if error:
        raise _refused(error)
    return answer.bytes()


async def _scram(channel: Wire, mechanism: str, username: str, password: str) -> None:
    from tasks.protocols import scram

    exchange = scram.Exchange(mechanism, username, password, prepare=False)
    first = await _token(channel, exchange.first().encode())
    final = await _token(channel, exchange.final(first.decode(errors="replace")).encode())
    exchange.verify(final.decode(errors="replace"))


def _refused(error: int, **more: Any) -> StageFailed:
    return StageFailed(error_code=error, server_said=f"error code {error}", **more)


def _about(failure: StageFailed, broker: Broker) -> StageFailed:
    """The same failure, of an advertised listener."""
    return StageFailed(**{**failure.evidence, **named(broker.host, broker.port, f"broker {broker.node}")})


def _told(failure: StageFailed) -> str:
    """An advertised listener and what is wrong with it, on one line."""
    found = failure.evidence
    why = next(
        (found[key] for key in ("rcode", "errno", "forbidden", "verify_code", "tls_error") if key in found), None
    )
    why = why or ("means this machine" if found.get("advertised_loopback") else "does not answer")
    return f"{found['advertised']}: {why}"
