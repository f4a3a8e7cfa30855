"""One conversation with one Redis server."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tasks.comparison.survey import Survey, Wanted
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.networks.provenance import numeric
from tasks.path_mtu import LARGE
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.hanging_up import over_tls
from tasks.protocols.redis.wire import GLOB, Refusal, Wire, info_lines, masters_of
from tasks.protocols.tls_first import LinesOrTls
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import may_want_tls

#: Keys looked at for one that may be read, in batches of so many.
_BATCH, _BATCHES = 500, 20
#: Keys of a batch that are really read.
_TRIES = 5

#: The least that a read of each kind of value transfers.
_READS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "string": ("GETRANGE", ("0", "0")),
    "list": ("LRANGE", ("0", "0")),
    "set": ("SSCAN", ("0", "COUNT", "1")),
    "zset": ("ZRANGE", ("0", "0")),
    "hash": ("HSCAN", ("0", "COUNT", "1")),
    "stream": ("XRANGE", ("-", "+", "COUNT", "1")),
}
#: Refusals that come after the permission was checked: the key lives elsewhere in the cluster, or is of another kind.
_PERMITTED = frozenset({"MOVED", "ASK", "WRONGTYPE"})


class RedisSession(LinesOrTls):
    """One conversation with one Redis server."""

    question = b"PING\r\n"
    spoken = "Redis"

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.wire = Wire(stream)
        self._greeting: Any = None
        self._cluster = False

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.wire = Wire(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        try:
            await self.wire.send(("PING",))
        except StreamBroken as broken:
            # A server that turns us away may have closed already: its word is still to be read. TLS has read its own.
            if broken.kind == "tls":
                raise
        first = await self.wire.reader.peek(64)
        looks_like = identify(first)
        if first[:1] not in (b"+", b"-") or looks_like not in (None, "Redis"):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        self._greeting = await self.wire.reply()
        if isinstance(self._greeting, Refusal) and self._greeting.unknown_command:
            # PING is renamed here: any other command without arguments of its own tells whether a password is wanted.
            echo = await self._ask("ECHO", "PONG")
            self._greeting = echo if isinstance(echo, Refusal) and not echo.unknown_command else "PONG"
        if not isinstance(self._greeting, Refusal) and self._greeting != "PONG":
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        recorder.see(ping=self._greeting.word if isinstance(self._greeting, Refusal) else "PONG")

    async def admit(self, recorder: Recorder) -> None:
        if isinstance(self._greeting, Refusal) and self._greeting.word not in ("NOAUTH", "NOPERM"):
            address = self._greeting.illegal_address
            listed = {} if address is None else {"illegal_address": True, "source_address": numeric(address)}
            raise self._refused(self._greeting, **listed)

    async def login(self, recorder: Recorder) -> None:
        username, password = self.access.setting("username"), self.access.secret("password")
        asked = isinstance(self._greeting, Refusal) and self._greeting.word == "NOAUTH"
        if username is None and password is None:
            if asked:
                raise StageFailed(no_password=True, username="default")
            raise StageSkipped("no credentials are configured, and the server asks for none")
        reply = await self._ask("AUTH", *([username] if username else []), password or "")
        if reply == "OK":
            recorder.see(authenticated=True)
        elif not isinstance(reply, Refusal):
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
        elif reply.word != "ERR":
            raise self._refused(reply)
        elif reply.unknown_command:
            raise StageFailed(unsupported=True, renamed="AUTH", method="AUTH")
        elif username:
            # Where accounts exist, a wrong one is WRONGPASS: a bare ERR is a server that takes a password only.
            raise StageFailed(unsupported=True, method="a password without user name (no ACL before Redis 6)")
        elif asked:
            raise self._refused(reply)
        else:
            recorder.warn(not_needed="the server has no password set; the configured one is not asked for")

    async def target(self, recorder: Recorder) -> None:
        database = int(self.access.setting("database", 0))
        select = [("SELECT", database)] if database else []
        # Without login nothing but NOAUTH is said: only now does PING tell how the server is. The echo is there to be
        # large; an account may be refused it.
        *selected, ping, echo = await self.ask_all(*select, ("PING",), ("ECHO", LARGE))
        if _unknown(echo):
            await self._refuse_sentinel()
        if isinstance(ping, Refusal) and ping.word != "NOPERM" and not ping.unknown_command:
            raise self._refused(ping)
        for reply in selected:
            if _unknown(reply):
                raise StageFailed(unsupported=True, renamed="SELECT", method="SELECT")
            if isinstance(reply, Refusal):
                missing = reply.word == "ERR"
                raise self._refused(reply, database_missing=missing or None, database=database)
        recorder.see(database=database)

    async def _refuse_sentinel(self) -> None:
        """A Sentinel speaks the protocol and holds no data; it knows who does."""
        info, masters = await self.ask_all(("INFO", "server"), ("SENTINEL", "MASTERS"))
        if dict(info_lines(info)).get("redis_mode") == "sentinel":
            raise StageFailed(sentinel=True, masters=list(masters_of(masters)))

    async def privilege(self, recorder: Recorder) -> None:
        size = await self._facts(recorder)
        objects = self.access.connection.objects
        for name in objects:
            await self._object(name, recorder)
        if objects:
            recorder.see(objects=list(objects))
        elif size == 0:
            if self._cluster:
                # This node has none, and the cluster may be down. That the account may read others alone says nothing.
                with suppress(_Denied):
                    await self._read("headwater", "any key")
            recorder.warn(nothing_to_read="the database holds no keys yet")
        else:
            await self._something(recorder)

    async def survey(self, wanted: Wanted) -> Survey:
        from tasks.protocols.redis.survey import survey

        return await survey(self, wanted)

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """Who hangs up on plaintext is asked over TLS; a bare ERR is proved to come unasked."""
        if stage == "greet" and not self.tls_wanted and may_want_tls(evidence):
            return await over_tls(self.access, retry)
        if stage == "admit" and evidence.get("error_word") == "ERR":
            return {"unasked": (await self.hears()).startswith(b"-")}
        return {}

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _object(self, name: str, recorder: Recorder) -> None:
        """A bound object is a key, the beginning of keys, or a pattern as in SCAN."""
        pattern = name if GLOB.search(name) else f"{name}*"
        denied: _Denied | None = None
        if pattern != name:
            try:
                if await self._read(name, name):
                    return
            except _Denied as denial:
                denied = denial  # of the key; keys that begin so may be permitted
        found = await self._first(pattern)
        if isinstance(found, Refusal):
            await self._read(name, name)  # a pattern of the ACL that allows `orders:*` allows the key of that name
            recorder.warn(not_listable=name, reason="the account may read these keys, but not list them (SCAN)")
        elif found is not None:
            await self._read(found, name)
        elif denied is not None:
            raise denied
        elif self._cluster:
            recorder.warn(not_on_this_node=name)
        else:
            raise StageFailed(object_missing=True, object=name, database=f"database {self._database}")

    async def _first(self, pattern: str) -> bytes | Refusal | None:
        """The first key that fits a pattern; a refusal where listing is not permitted."""
        cursor: object = "0"
        while True:
            cursor, keys, refusal = await self._scan(cursor, "MATCH", pattern, "COUNT", 1000)
            if refusal is not None or keys or cursor == b"0":
                return refusal or next(iter(keys), None)

    async def _scan(self, cursor: object, *options: object) -> tuple[object, list[bytes], Refusal | None]:
        reply = await self._ask("SCAN", cursor, *options)
        if isinstance(reply, Refusal):
            if reply.word != "NOPERM" and not reply.unknown_command:
                raise self._refused(reply)
            return cursor, [], reply
        try:
            following, keys = reply
            return following, [key for key in keys if isinstance(key, bytes)], None
        except (TypeError, ValueError):
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL") from None

    async def _something(self, recorder: Recorder) -> None:
        """Any key that may be read. SCAN lists keys that the account may not read, so several are tried."""
        cursor: object = "0"
        looked_at = 0
        for _ in range(_BATCHES):
            cursor, keys, refusal = await self._scan(cursor, "COUNT", _BATCH)
            if refusal is not None:
                await self._read("headwater", "any key")
                recorder.warn(not_listable="any key", reason="the account may read keys, but not list them (SCAN)")
                return
            looked_at += len(keys)
            if await self._any_readable(keys):
                recorder.see(keys_looked_at=looked_at)
                return
            if cursor == b"0":
                break
        if looked_at:
            raise StageFailed(nothing_readable=True, keys_looked_at=looked_at, object="any key", **self._account())
        recorder.warn(nothing_to_read="the database holds no keys yet")

    async def _any_readable(self, keys: Sequence[bytes]) -> bool:
        kinds = await self.ask_all(*(("TYPE", key) for key in keys))
        permitted = [key for key, kind in zip(keys, kinds, strict=True) if not _denied(kind)]
        for key in (permitted or list(keys))[:_TRIES]:
            with suppress(_Denied):
                if await self._read(key, "any key"):
                    return True
        return False

    async def _read(self, key: object, name: str) -> bool:
        """Whether there is such a key. Raises `StageFailed` if it may not be read."""
        kind = await self._ask("TYPE", key)
        if kind == "none":
            return False
        value = kind
        if isinstance(kind, str) and kind in _READS:
            command, options = _READS[kind]
            value = await self._ask(command, key, *options)
        if _denied(value) or _unknown(value):
            value = await self._ask("GET", key)  # an account with GET alone may read
        if _unknown(value):
            raise StageFailed(unsupported=True, renamed="GET", method="GET", object=name)
        if _denied(value):
            raise _Denied(**self._said(value), object=name)
        if isinstance(value, Refusal) and value.word not in _PERMITTED:
            raise self._refused(value, object=name)
        return value is not None

    async def _facts(self, recorder: Recorder) -> int | None:
        """What a good check wants to know, as far as the account may; gives the number of keys."""
        info, client, clock, size = await self.ask_all(("INFO",), ("CLIENT", "INFO"), ("TIME",), ("DBSIZE",))
        known = dict(info_lines(info))
        self._cluster = known.get("cluster_enabled") == "1"
        version = known.get("redis_version", "")
        recorder.see(
            server_version=version if re.fullmatch(r"[\w.+-]{1,32}", version) else None,
            connections_used=_count(known.get("connected_clients")),
            connections_limit=_count(known.get("maxclients")),
            replica=known.get("role") == "slave" if "role" in known else None,
            source_address_seen_by_server=_address(client),
            clock_skew_s=_skew(clock),
        )
        run_id = known.get("run_id", "")
        if re.fullmatch(r"[0-9a-f]{40}", run_id):
            recorder.see(server_run=f"Redis run {run_id}", database_identity=str(self._database))
        return size if isinstance(size, int) else None

    # -- words --------------------------------------------------------------------------------------------------------

    @property
    def tls_wanted(self) -> bool:
        return self.access.tls.wanted and not self.access.address.startswith("/")

    @property
    def _database(self) -> int:
        return int(self.access.setting("database", 0))

    async def _ask(self, *command: object) -> Any:
        (reply,) = await self.ask_all(command)
        return reply

    async def ask_all(self, *commands: Sequence[object]) -> list[Any]:
        """The replies to several commands, sent at once."""
        await self.wire.send(*commands)
        return [await self.wire.reply() for _ in commands]

    def _account(self) -> dict[str, str]:
        return {"username": str(self.access.setting("username", "default"))}

    def _said(self, refusal: Refusal) -> dict[str, Any]:
        """A refusal as evidence. Redis repeats the words of a command that it does not know: no secret may stay."""
        secrets = [value.get_secret_value() for value in self.access.secrets.values()]
        repeats = any(secret and secret in refusal.text for secret in secrets)
        word = refusal.word if refusal.word not in secrets else "ERR"
        return {
            "error_word": word,
            "server_said": word,
            "server_message": None if repeats else printable(refusal.text.encode(), 200),
            **self._account(),
        }

    def _refused(self, refusal: Refusal, **more: Any) -> StageFailed:
        return StageFailed(**self._said(refusal), **{key: value for key, value in more.items() if value is not None})


class _Denied(StageFailed):
    """The account may not read a key."""


def _denied(reply: object) -> bool:
    return isinstance(reply, Refusal) and reply.word == "NOPERM"


def _unknown(reply: object) -> bool:
    return isinstance(reply, Refusal) and reply.unknown_command


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else None


def _address(client: object) -> str | None:
    found = re.search(rb"\baddr=\[?([0-9a-fA-F.:]+)\]?:\d+", client) if isinstance(client, bytes) else None
    return found.group(1).decode() if found else None


def _digits(part: object) -> bool:
    return isinstance(part, bytes) and re.fullmatch(rb"[0-9]{1,12}", part) is not None


def _skew(clock: object) -> float | None:
    if not isinstance(clock, list) or not all(_digits(part) for part in clock):
        return None
    return round(sum(int(part) * unit for part, unit in zip(clock, (1, 1e-6), strict=False)) - time.time(), 3)
