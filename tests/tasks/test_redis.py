"""Redis' protocol: replies as they were recorded, and peers that are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.verdict import INCONCLUSIVE
from tasks import causes
from tasks.protocols.redis import PROTOCOL
from tasks.protocols.redis.wire import Refusal, Wire
from tasks.streams import StreamBroken
from tests.tasks.scripted import Conversation, Peer, converse

PASSWORD = "canary-passw0rd"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
OK, PONG, NOPERM = b"+OK\r\n", b"+PONG\r\n", b"-NOPERM this user has no permissions\r\n"
#: What answers PING once logged in, and beside it an echo that the account may not ask for.
ALIVE = PONG + NOPERM
#: Answers to INFO, CLIENT INFO, TIME and DBSIZE where the account may see nothing.
NO_FACTS = NOPERM * 4
#: The same of a node of a cluster that holds no keys.
CLUSTER = b"$17\r\ncluster_enabled:1\r\n" + NOPERM * 2 + b":0\r\n"
#: To a command that is renamed.
UNKNOWN = b"-ERR unknown command 'X', with args beginning with: 'a' \r\n"


def entry(**changes: Any) -> dict[str, Any]:
    given = {"address": {"host": "192.0.2.2", "port": 6379}, "username": "app", "password": "env:X", **changes}
    return {key: value for key, value in given.items() if value is not None}


async def talk(*words: bytes, others: tuple[Peer, ...] = (), **changes: Any) -> Conversation:
    secrets = {"password": PASSWORD} if changes.get("password", "") is not None else {}
    return await converse("redis", entry(**changes), secrets, Peer(*words), *others)


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def scan(*keys: bytes, cursor: bytes = b"0") -> bytes:
    return b"*2\r\n" + bulk(cursor) + b"*%d\r\n" % len(keys) + b"".join(bulk(key) for key in keys)


async def test_replies_of_every_kind_are_read() -> None:
    wire = Wire(Peer(b"+OK\r\n-WRONGPASS no\r\n-what\r\n:-5\r\n$-1\r\n" + bulk(b"a\r\nb") + b"*2\r\n:1\r\n*-1\r\n"))
    read = [await wire.reply() for _ in range(7)]
    assert read == ["OK", Refusal("WRONGPASS", "WRONGPASS no"), Refusal("ERR", "what"), -5, None, b"a\r\nb", [1, None]]


def _array(*items: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(items), b"".join(items))


@pytest.mark.parametrize("database", [0, 3])
async def test_a_sentinel_is_named_with_the_servers_that_it_watches(database: int) -> None:
    unknown = b"-ERR unknown command 'ECHO', with args beginning with: \r\n"
    about = (b"name", b"m", b"ip", b"10.0.0.7", b"port", b"6380")
    masters = _array(_array(*(bulk(word) for word in about)))
    selected = unknown if database else b""
    answers = selected + PONG + unknown + bulk(b"# Server\r\nredis_mode:sentinel\r\n") + masters
    talked = await talk(PONG, answers, username=None, password=None, database=database)
    assert talked.cause == "PROTO.MISMATCH"
    assert talked.finding is not None
    assert "10.0.0.7:6380" in talked.finding.remedy


async def test_a_select_that_is_switched_off_is_no_missing_database() -> None:
    unknown = b"-ERR unknown command 'SELECT', with args beginning with: '1' \r\n"
    talked = await talk(NOAUTH + OK + unknown + ALIVE, database=1)
    assert talked.cause == "AUTH.METHOD_UNSUPPORTED"
    assert talked.finding is not None
    assert talked.finding.component == "SELECT"


async def test_a_large_value_is_read_past() -> None:
    wire = Wire(Peer(b"$2000000\r\n" + bytes(2_000_000) + b"\r\n+OK\r\n", pace=65536))
    assert [await wire.reply(), await wire.reply()] == [b"", "OK"]


@pytest.mark.parametrize("reply", [b"*9999999\r\n", b"$x\r\n", b"*1\r\n" * 9, b"?\r\n", b"$1\r\nabc"])
async def test_what_is_no_reply_is_refused(reply: bytes) -> None:
    with pytest.raises(StreamBroken):
        await Wire(Peer(reply)).reply()


@pytest.mark.parametrize(
    ("words", "changes", "code"),
    [
        # Redis 5 has one password and says ERR for a wrong one.
        (NOAUTH + b"-ERR invalid password\r\n", {"username": None}, "AUTH.BAD_CREDENTIALS"),
        # It does not know user names: its ERR is no judgement on the password.
        (NOAUTH + b"-ERR wrong number of arguments for 'auth' command\r\n", {}, "AUTH.METHOD_UNSUPPORTED"),
        (NOAUTH + b"-WRONGPASS falsch\r\n", {}, "AUTH.BAD_CREDENTIALS"),
        (NOAUTH, {"username": None, "password": None}, "AUTH.BAD_CREDENTIALS"),
        (b"-DENIED geschuetzt\r\n", {}, "ADMIT.ALLOWLIST"),
        (b"-ERR illegal address: 8.8.8.9:40112\r\n", {}, "ADMIT.ALLOWLIST"),
        (b"-LOADING laedt\r\n", {}, "SERVER.NOT_READY"),
        (b"-FANCY new error\r\n", {}, "SERVER.ERROR"),
        (NOAUTH + OK + b"-MASTERDOWN weg\r\n" + NOPERM, {}, "SERVER.NOT_READY"),
        (NOAUTH + OK + b"-ERR DB index is out of range\r\n" + ALIVE, {"database": 99}, "TARGET.MISSING"),
        (NOAUTH + OK + NOPERM + ALIVE, {"database": 1}, "TARGET.NO_CONNECT"),
        # A server that fails in between is not one that lacks the database.
        (NOAUTH + OK + b"-BUSY script\r\n" * 3, {"database": 1}, "SERVER.NOT_READY"),
        (NOAUTH + OK + ALIVE + NO_FACTS + scan(b"a") + b"+string\r\n+string\r\n" + bulk(b"v"), {}, None),
        (NOAUTH + OK + ALIVE + NO_FACTS + scan(b"a") + NOPERM * 3, {}, "PRIV.OBJECT_DENIED"),
        (NOAUTH + OK + ALIVE + NO_FACTS + NOPERM * 3, {}, "PRIV.OBJECT_DENIED"),
        (NOAUTH + OK + ALIVE + NO_FACTS + scan(), {}, None),
        (NOAUTH + OK + ALIVE + NO_FACTS + b"+none\r\n" + scan(), {"objects": ["a"]}, "TARGET.OBJECT_MISSING"),
        # A key of another node of the cluster may be read there.
        (NOAUTH + OK + ALIVE + NO_FACTS + b"-MOVED 3999 127.0.0.1:6381\r\n", {"objects": ["a"]}, None),
        # A value of a module's kind can be told, if not read.
        (NOAUTH + OK + ALIVE + NO_FACTS + b"+ReJSON-RL\r\n", {"objects": ["a"]}, None),
        # Commands that are renamed: keys are read without, as far as one can.
        (NOAUTH + OK + ALIVE + NO_FACTS + UNKNOWN + bulk(b"v"), {"objects": ["a"]}, None),
        (NOAUTH + OK + ALIVE + NO_FACTS + UNKNOWN * 2, {"objects": ["a"]}, "AUTH.METHOD_UNSUPPORTED"),
        (NOAUTH + OK + ALIVE + NO_FACTS + UNKNOWN + b"+none\r\n", {}, None),
        # A node without keys of a cluster that serves none.
        (NOAUTH + OK + ALIVE + CLUSTER + b"-CLUSTERDOWN Hash slot not served\r\n", {}, "SERVER.NOT_READY"),
        (NOAUTH + OK + ALIVE + CLUSTER + b"-MOVED 3999 127.0.0.1:6381\r\n", {}, None),
        # An account of other keys than the one that is tried there.
        (NOAUTH + OK + ALIVE + CLUSTER + NOPERM * 2, {}, None),
        (b"+OK POP3 ready\r\n", {}, "PROTO.MISMATCH"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "PROTO.MISMATCH"),
        (b"", {}, "PEER.RESET_EARLY"),
        (NOAUTH, {}, "SERVER.ERROR"),
    ],
)
async def test_words_decide(words: bytes, changes: dict[str, Any], code: str | None) -> None:
    went = await talk(words, **changes)
    assert went.cause == code, str(went)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("ERR illegal address: 8.8.8.9:40112", "8.8.8.9"),
        ("ERR illegal address: [2001:db8::9]:40112", "2001:db8::9"),
        ("ERR illegal address", None),
        ("ERR illegal address: over there", None),
    ],
)
async def test_the_refused_address_is_the_one_that_the_server_names(said: str, address: str | None) -> None:
    went = await talk(f"-{said}\r\n".encode())
    assert went.cause == "ADMIT.ALLOWLIST"
    assert went.seen("admit").get("source_address") == address


async def test_a_needless_password_is_a_warning_only() -> None:
    went = await talk(PONG + b"-ERR AUTH called without any password\r\n" + ALIVE + NO_FACTS + scan(), username=None)
    assert went.cause is None, str(went)
    assert "not_needed" in went.seen("login")


async def test_no_password_is_sent_before_the_peer_has_answered_as_redis() -> None:
    for words in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-DENIED\r\n", b"-LOADING\r\n", b"+HELLO\r\n"):
        peer = Peer(words)
        await converse("redis", entry(), {"password": PASSWORD}, peer)
        assert peer.heard == b"*1\r\n$4\r\nPING\r\n"


def repeated(heard: bytes) -> bytes:
    """As Redis answers a command that it does not know: with its words."""
    return b"-ERR unknown command, with args beginning with: '" + heard.replace(b"\r\n", b"' '") + b"'\r\n"


@pytest.mark.parametrize(
    "words",
    [
        (NOAUTH, repeated),
        (NOAUTH, OK, repeated),
        (NOAUTH, OK + ALIVE + NO_FACTS, repeated),
        (NOAUTH, b"-" + PASSWORD.upper().encode() + b"\r\n"),
        (NOAUTH, OK, b"?" + PASSWORD.encode() + b"\r\n"),
    ],
)
async def test_a_server_that_repeats_the_password_is_not_quoted(words: tuple[Any, ...]) -> None:
    went = await converse("redis", entry(), {"password": PASSWORD}, Peer(*words))
    assert went.cause is not None
    assert PASSWORD not in str(went)


_REPLIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [OK, PONG, NOAUTH, NOPERM, NO_FACTS, scan(b"a"), scan(b"a", cursor=b"7"), b"+string\r\n", b":3\r\n"]
    ),
    st.sampled_from([b"*2\r\n$1\r\n0\r\n+x\r\n", b"$5\r\nab", b"*-1\r\n", b"-\r\n", b"+\r\n", b"$-1\r\n", b":9e9\r\n"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_REPLIES, max_size=14), st.sampled_from([{}, {"objects": ["a", "b*"]}, {"database": 3}]))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(
    words: list[bytes], changes: dict[str, Any]
) -> None:
    went = await talk(*words, **changes)
    assert went.cause is None or went.cause in causes.catalogue(), str(went)
    assert PASSWORD not in str(went)
    if went.cause is None:
        assert OK in b"".join(words), "connectable without a login"


def test_the_answers_name_causes_of_the_catalogue() -> None:
    for answer in PROTOCOL.answers:
        assert answer.code in causes.catalogue()
        assert (answer.code == INCONCLUSIVE) == bool(answer.alternatives)
        assert set(answer.alternatives) <= set(causes.catalogue())
