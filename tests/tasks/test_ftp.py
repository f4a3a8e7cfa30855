"""FTP on recorded exchanges: which reply asserts which cause, and that no peer can make the session misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.verdict import INCONCLUSIVE
from tasks import causes, diagnosis
from tasks.budget import Budget
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.protocols import Access
from tasks.protocols.ftp import PROTOCOL
from tasks.protocols.ftp.session import FtpSession
from tasks.protocols.ftp.wire import read_reply
from tasks.streams import Reader, StreamBroken
from tasks.target import Target
from tasks.tls import TlsMaterial
from tasks.vantages import ConnectFailed
from tests.tasks.certified import server_context, trusting
from tests.tasks.support import Handler, failed, listening
from tests.tasks.wired import verdict_over

PASSWORD = "canary-5ecret"
WELCOME = (b"220 ready\r\n", b"331 password\r\n", b"230 in\r\n")
#: As vsftpd answers CWD, PWD and TYPE.
INSIDE = (b"250 changed\r\n", b'257 "/orders" is the current directory\r\n', b"200 binary\r\n")


class Recorded:
    """A stream that plays what a peer once said, a piece at a time, and then ends."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.budget = Budget.of(5)
        self.received = 0
        self.sent = b""
        self._pieces = [piece for piece in pieces if piece]

    async def receive(self, limit: int = 65536) -> bytes:
        if not self._pieces:
            raise StreamBroken("eof", received=self.received)
        piece = self._pieces.pop(0)
        self.received += len(piece)
        return piece

    async def send(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        pass

    def local_address(self) -> str:
        return "127.0.0.1"


class Outcome:
    """How a conversation ended."""

    def __init__(self, stage: str | None, evidence: Mapping[str, Any], sent: bytes, dialled: list[int]) -> None:
        self.stage, self.evidence, self.sent, self.dialled = stage, evidence, sent, dialled

    @property
    def code(self) -> str | None:
        """The cause that the diagnosis finds."""
        found = self.finding
        return found.code if found else None

    @property
    def finding(self) -> diagnosis.Finding | None:
        """What the diagnosis says; None when all passed."""
        if self.stage is None:
            return None
        target = Target("w", "files", "ftp", "dev", "local", "ftp", 21, access().connection)
        return diagnosis.explain(target, failed(self.stage, self.evidence), None)


def access(**fields: Any) -> Access:
    model = types.get("ftp").modes[Mode.CONNECTION_STRING]
    entry = {"protocol": "ftp", "host": "files", "port": 21, "username": "app", "base_dir": "/orders", **fields}
    connection = model.model_validate({**entry, "password": "env:X"})
    return Access("files", 21, "192.0.2.1", connection, {"password": SecretStr(PASSWORD)}, TlsMaterial())


async def play(pieces: Sequence[bytes], *data: Sequence[bytes] | Exception, **fields: Any) -> Outcome:
    """Talk to a recorded peer; each data connection plays one of `data` or fails; there are no more of them."""
    stream, left, dialled = Recorded(pieces), list(data), list[int]()

    async def dial(port: int | None = None, *, host: str | None = None) -> Recorded:
        assert host is None, "a session never leaves the address it was given"
        dialled.append(port or 0)
        if not left:
            raise ConnectFailed(errno="ECONNREFUSED")
        other = left.pop(0)
        if isinstance(other, Exception):
            raise other
        return Recorded(other)

    session = FtpSession(stream, access(**fields), dial)
    for name in session.order:
        try:
            await getattr(session, name)(Recorder())
        except StageSkipped:
            continue
        except (StageFailed, StreamBroken) as failure:
            evidence = failure.evidence() if isinstance(failure, StreamBroken) else failure.evidence
            await session.close()
            return Outcome(name, evidence, stream.sent, dialled)
    await session.close()
    return Outcome(None, {}, stream.sent, dialled)


async def test_a_good_conversation_reads_the_directory() -> None:
    done = await play(
        [*WELCOME, *INSIDE, b"229 extended (|||40001|)\r\n", b"150 here\r\n", b"226 done\r\n"], [b"-rw 1.json\r\n"]
    )
    assert done.stage is None
    assert done.dialled == [40001]
    assert done.sent.endswith(b"EPSV\r\nLIST\r\nQUIT\r\n")


async def test_the_address_in_a_passive_reply_is_not_followed() -> None:
    done = await play(
        [*WELCOME, *INSIDE, b"500 what\r\n", b"227 passive (10,0,0,9,4,1)\r\n", b"150 here\r\n", b"226 done\r\n"],
        [b"x"],
    )
    assert done.stage is None
    assert done.dialled == [4 * 256 + 1]


async def test_replies_of_several_lines_and_a_server_that_asks_for_patience() -> None:
    greeting = [b"120 soon\r\n", b"220-wel", b"come\r\n230 not yet\r\n 220 indented\r\n220 ready\r\n"]
    done = await play([*greeting, b"530 no\r\n"])
    assert (done.stage, done.evidence["reply_code"]) == ("admit", 530)


@pytest.mark.parametrize(
    ("pieces", "stage", "code"),
    [
        ([b"421 full\r\n"], "greet", INCONCLUSIVE),
        ([*WELCOME[:2], b"530 no\r\n"], "login", "AUTH.BAD_CREDENTIALS"),
        ([*WELCOME[:2], b"332 account\r\n"], "login", "AUTH.METHOD_UNSUPPORTED"),
        ([*WELCOME[:1], b"332 account\r\n"], "login", "AUTH.METHOD_UNSUPPORTED"),
        ([*WELCOME, b"550 no\r\n", b"213 7\r\n"], "target", "TARGET.MISSING"),
        ([*WELCOME, b"550 no\r\n", b"550 no\r\n", b"550 no\r\n"], "target", INCONCLUSIVE),
        ([*WELCOME, *INSIDE, b"229 (|||40001|)\r\n"], "privilege", "PORT.CLOSED"),
        ([*WELCOME, b"421 stopping\r\n"], "target", INCONCLUSIVE),
    ],
)
async def test_codes_decide(pieces: list[bytes], stage: str, code: str) -> None:
    done = await play(pieces)
    assert (done.stage, done.code) == (stage, code)


@pytest.mark.parametrize(
    ("failure", "code", "alternatives"),
    [
        (ConnectFailed(silent=True, waited_ms=4900.0), "FILTER.DROP", ()),
        (ConnectFailed(silent=True, waited_ms=100.0), "PROBE.DEADLINE", ()),
        (ConnectFailed(errno="EACCES", icmp_version=6, icmp_type=1, icmp_code=1, icmp_from="::9"), "FILTER.REJECT", ()),
        (ConnectFailed(errno="EHOSTUNREACH"), INCONCLUSIVE, ("FILTER.REJECT", "ROUTE.REMOTE_UNREACHABLE")),
    ],
)
async def test_what_becomes_of_the_data_connection_decides(
    failure: ConnectFailed, code: str, alternatives: tuple[str, ...]
) -> None:
    done = await play([*WELCOME, *INSIDE, b"229 (|||40001|)\r\n"], failure)
    assert done.finding is not None
    assert (done.stage, done.code, done.finding.alternatives) == ("privilege", code, alternatives)


async def test_a_directory_that_may_not_be_listed() -> None:
    done = await play([*WELCOME, *INSIDE, b"229 (|||40001|)\r\n", b"550 no\r\n"], [])
    assert (done.stage, done.code) == ("privilege", "PRIV.OBJECT_DENIED")


async def test_a_file_of_which_nothing_can_be_learnt_is_missing_or_hidden() -> None:
    refusals = [b"229 (|||4001|)\r\n", b"550 no\r\n", *[b"550 no\r\n"] * 12]
    done = await play([*WELCOME, *INSIDE, *refusals], [], objects=["1.json"])
    assert done.finding is not None
    assert done.finding.alternatives == ("TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
        [b"220 mail ESMTP\r\n", b"502 unknown\r\n"],
        [b"200 news\r\n"],
        [b"\x16\x03\x01\x00\x05"],
        [b"J\x00\x00\x00\x0a8.0.36\x00"],
    ],
)
async def test_another_protocol_is_told_before_the_password_goes_out(pieces: list[bytes]) -> None:
    done = await play(pieces)
    assert done.evidence["not_protocol"] is True
    assert PASSWORD.encode() not in done.sent


async def test_what_is_there_and_what_is_not_come_apart_by_a_second_question() -> None:
    denied = [b"229 (|||4001|)\r\n", b"550 no\r\n", b"550 no dir\r\n"]
    listing = [b"550 no size\r\n", b"550 no size\r\n", b"250 in\r\n", b"229 (|||4002|)\r\n", b"150 -\r\n", b"226 -\r\n"]
    for name, code in (("secret.json", "PRIV.OBJECT_DENIED"), ("2.json", "TARGET.OBJECT_MISSING")):
        done = await play([*WELCOME, *INSIDE, *denied, *listing], [], [b"1.json\r\nsecret.json\r\n"], objects=[name])
        assert (done.stage, done.code, done.evidence["object"]) == ("privilege", code, name)


async def test_a_password_that_the_server_repeats_is_not_kept() -> None:
    done = await play([*WELCOME[:2], f"530 {PASSWORD} is wrong\r\n".encode()])
    assert PASSWORD not in str(done.evidence)


@pytest.mark.parametrize("character", ["\r\n", "\n", "\0"])
async def test_no_value_can_become_a_second_command(character: str) -> None:
    done = await play([*WELCOME, *INSIDE], objects=[f"1.json{character}DELE 1.json"])
    assert (done.code, done.evidence["bad_field"]) == ("CONFIG.BAD_VALUE", "objects")
    assert done.sent == b""


REPLIES = st.builds(
    lambda code, mark, text: b"%d%s%s\r\n" % (code, mark, text),
    st.sampled_from([120, 150, 200, 213, 220, 226, 227, 229, 230, 250, 257, 331, 332, 421, 425, 450, 500, 530, 550]),
    st.sampled_from([b" ", b"-"]),
    st.sampled_from(
        [b"", b"(|||40001|)", b"(|||99999|)", b"(1,2,3,4,5,6)", b"(1,2,3,4,999,999)", b'"/a"', b'""', b"\xff"]
    ),
)


@given(st.lists(st.one_of(REPLIES, st.binary(max_size=40)), max_size=30), st.lists(st.binary(max_size=20), max_size=4))
@settings(max_examples=150, deadline=None)
def test_no_peer_crashes_or_hangs_the_session(pieces: list[bytes], data: list[bytes]) -> None:
    for fields in ({}, {"objects": ["1.json", "a/b"]}):
        asyncio.run(asyncio.wait_for(play(pieces, *([one] for one in data), **fields), 2))


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_replies_do_not_depend_on_how_the_bytes_arrive(cuts: list[bytes]) -> None:
    whole = b"220-a\r\n" + b"".join(cuts).replace(b"\n", b"") + b"\n220 end\r\n"

    def read(pieces: Sequence[bytes]) -> object:
        try:
            return asyncio.run(read_reply(Reader(Recorded(pieces))))
        except (StageFailed, StreamBroken) as failure:
            return type(failure)

    assert read([whole]) == read([whole[at : at + 1] for at in range(len(whole))])


def test_answers_name_codes_of_the_catalogue() -> None:
    known = causes.catalogue()
    for answer in PROTOCOL.answers:
        assert {answer.code, *answer.alternatives} <= set(known)
        assert (answer.code == INCONCLUSIVE) == (len(answer.alternatives) >= 2)


def says(*, busy: int = 0, refuse: bytes = b"") -> Handler:
    """A server that is full for the first `busy` clients and refuses every user; it knows no TLS, or fails at it."""
    met: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(1)
        if len(met) <= busy:
            writer.write(b"421 too many\r\n")
            return
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            writer.write({b"AUTH TLS": b"234 go on\r\n"}.get(line.strip(), refuse))
            if line.startswith(b"AUTH"):
                return

    return handler


async def test_a_server_that_has_room_a_moment_later_was_full() -> None:
    found = await verdict_over(says(busy=1), "ftp", {"protocol": "ftp", "username": "app"})
    assert found.cause == "CAPACITY.CONNECTIONS", found


async def test_a_refused_user_of_a_server_whose_tls_fails() -> None:
    found = await verdict_over(says(refuse=b"530 no\r\n"), "ftp", {"protocol": "ftp", "username": "app"})
    assert found.alternatives == ["TLS.REQUIRED", "AUTH.LOGIN_FORBIDDEN"], found


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ((b"200 ok\r\n", b"536 no\r\n"), "TLS.NOT_OFFERED"),
        ((b"200 ok\r\n", b"200 ok\r\n", *INSIDE, b"229 (|||%d|)\r\n", b"522 reuse\r\n"), "TLS.VERSION_OR_CIPHER"),
    ],
)
async def test_tls_for_commands_alone(replies: tuple[bytes, ...], code: str) -> None:
    async def data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def commands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WELCOME[0])
        await reader.readline()
        writer.write(b"234 go on\r\n")
        await writer.start_tls(server_context())
        for reply in (*WELCOME[1:], *replies):
            await reader.readline()
            writer.write(reply % port if b"%d" in reply else reply)
        await reader.read()

    entry = {"protocol": "ftps", "username": "app", "base_dir": "/orders"}
    async with listening(data) as port:
        found = await verdict_over(commands, "ftp", entry, **trusting())
    assert found.cause == code, found
