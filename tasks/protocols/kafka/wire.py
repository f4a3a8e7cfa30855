"""Requests and responses of Kafka's protocol, in versions without tagged fields."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tasks.streams import Reader, Stream, StreamBroken

Item = TypeVar("Item")

#: Request -> (api key, version).
FETCH, LIST_OFFSETS, METADATA = (1, 4), (2, 1), (3, 4)
#: Before version 4, asking for a topic by its name may create it.
OLD_METADATA = (3, 1)
SASL_HANDSHAKE, SASL_AUTHENTICATE, API_VERSIONS = (17, 1), (36, 0), (18, 0)
#: Answers beyond this are of no Kafka, or of a cluster beyond what is looked at. In bytes.
_LONGEST = 1 << 25
_MOST = 1_000_000
_UNKNOWN_TOPIC = 3


class Fields:
    """Reads a response from its beginning. Raises `ValueError` where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._data):
            raise ValueError("a response that ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def int8(self) -> int:
        """A byte."""
        return int.from_bytes(self._take(1), signed=True)

    def int16(self) -> int:
        """Two bytes."""
        return int.from_bytes(self._take(2), signed=True)

    def int32(self) -> int:
        """Four bytes."""
        return int.from_bytes(self._take(4), signed=True)

    def int64(self) -> int:
        """Eight bytes."""
        return int.from_bytes(self._take(8), signed=True)

    def text(self) -> str | None:
        """A string, or null."""
        size = self.int16()
        return None if size < 0 else self._take(size).decode("utf-8", "replace")

    def bytes(self) -> bytes:
        """Bytes; null reads as none."""
        size = self.int32()
        return b"" if size < 0 else self._take(size)

    def array(self, item: Callable[[], Item]) -> list[Item]:
        """So many items; null reads as none."""
        count = self.int32()
        if count > _MOST:
            raise ValueError("an array too long to be one")
        return [item() for _ in range(max(count, 0))]


@dataclass(frozen=True)
class Broker:
    """An advertised listener."""

    node: int
    host: str
    port: int


@dataclass(frozen=True)
class Partition:
    """A partition of a topic and the broker that leads it (-1: none)."""

    index: int
    leader: int
    error: int


@dataclass(frozen=True)
class Topic:
    """A topic as the metadata has it."""

    name: str
    error: int
    internal: bool
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Metadata:
    """What a broker knows of its cluster."""

    cluster: str | None
    controller: int
    brokers: tuple[Broker, ...]
    topics: tuple[Topic, ...]


def text(value: str | None) -> bytes:
    """A string, or null."""
    if value is None:
        return struct.pack("!h", -1)
    data = value.encode()
    return struct.pack("!h", len(data)) + data


def array(items: Sequence[bytes] | None) -> bytes:
    """Items with their number before them; None is null."""
    return struct.pack("!i", -1) if items is None else struct.pack("!i", len(items)) + b"".join(items)


def request(kind: tuple[int, int], correlation: int, body: bytes = b"") -> bytes:
    """One request on the wire."""
    head = struct.pack("!hhi", *kind, correlation) + text("headwater")
    return struct.pack("!i", len(head) + len(body)) + head + body


class Wire:
    """Requests and their responses over a stream; `head` is what the last one began with."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)
        self.head = b""
        self._correlation = 0

    async def ask(self, kind: tuple[int, int], body: bytes = b"") -> Fields:
        """The response to a request. Raises `StreamBroken`; with ``PROTOCOL`` for what is none of Kafka's."""
        self._correlation += 1
        await self.stream.send(request(kind, self._correlation, body))
        await self.reader.peek(1)
        self.head = bytes(self.reader.buffer[:48])
        size, correlation = struct.unpack("!ii", await self.reader.exactly(8))
        if not 4 <= size <= _LONGEST or correlation != self._correlation:
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
        return Fields(await self.reader.exactly(size - 4))

    async def metadata(self, topics: Sequence[str] | None) -> Metadata:
        """Brokers and topics; None asks for all topics. No topic is created by asking."""
        names = None if topics is None else [text(name) for name in topics]
        fields = await self.ask(METADATA, array(names) + b"\x00")
        fields.int32()  # throttle time
        brokers = fields.array(lambda: _broker(fields))
        cluster, controller = fields.text(), fields.int32()
        return Metadata(cluster, controller, tuple(brokers), tuple(fields.array(lambda: _topic(fields))))

    async def old_metadata(self, topics: Sequence[str] | None) -> Metadata:
        """The same of brokers before 0.11: all topics are asked for, and those wanted are picked."""
        fields = await self.ask(OLD_METADATA, array(None))
        brokers = fields.array(lambda: _broker(fields))
        controller = fields.int32()
        found = {topic.name: topic for topic in fields.array(lambda: _topic(fields))}
        wanted = [found.get(name) or Topic(name, _UNKNOWN_TOPIC, False, ()) for name in topics or found]
        return Metadata(None, controller, tuple(brokers), tuple(wanted))

    async def first_offset(self, topic: str, partition: int) -> tuple[int, int]:
        """Error code and the first offset that is still there."""
        asked = array([struct.pack("!iq", partition, -2)])
        fields = await self.ask(LIST_OFFSETS, struct.pack("!i", -1) + array([text(topic) + asked]))
        found: list[tuple[int, int]] = []

        def partition_answer() -> None:
            fields.int32()
            error = fields.int16()
            fields.int64()
            found.append((error, fields.int64()))

        fields.array(lambda: (fields.text(), fields.array(partition_answer)))
        return found[0] if found else (-1, 0)

    async def fetch(self, topic: str, partition: int, offset: int) -> int:
        """The error code of reading from an offset; at most a few bytes are transferred."""
        asked = array([struct.pack("!iqi", partition, offset, 1)])
        body = struct.pack("!iiiib", -1, 0, 0, 1, 0) + array([text(topic) + asked])
        fields = await self.ask(FETCH, body)
        fields.int32()  # throttle time
        errors: list[int] = []

        def partition_answer() -> None:
            fields.int32()
            errors.append(fields.int16())
            fields.int64()
            fields.int64()
            fields.array(lambda: (fields.int64(), fields.int64()))
            fields.bytes()

        fields.array(lambda: (fields.text(), fields.array(partition_answer)))
        return errors[0] if errors else -1


def _broker(fields: Fields) -> Broker:
    node, host, port = fields.int32(), fields.text() or "", fields.int32()
    fields.text()  # rack
    return Broker(node, host, port)


def _topic(fields: Fields) -> Topic:
    error, name, internal = fields.int16(), fields.text() or "", bool(fields.int8())

    def partition() -> Partition:
        failed, index, leader = fields.int16(), fields.int32(), fields.int32()
        fields.array(fields.int32)  # replicas
        fields.array(fields.int32)  # those in sync
        return Partition(index, leader, failed)

    return Topic(name, error, internal, tuple(fields.array(partition)))
