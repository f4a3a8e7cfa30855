"""HTTP: responses as they were recorded, and peers that send none."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.verdict import INCONCLUSIVE
from tasks import causes
from tasks.check import check
from tasks.evidence import StageFailed
from tasks.protocols.http import PROTOCOL
from tasks.protocols.http.wire import Origin, Response
from tasks.vantages import ConnectFailed
from tasks.vantages.local import LocalVantage
from tests.tasks.certified import mistrusted, server_context, trusting
from tests.tasks.scripted import Conversation, Peer, converse
from tests.tasks.support import Handler, listening
from tests.tasks.wired import target_of

PASSWORD = "canary-passw0rd"
BLOB = base64.b64encode(f"app:{PASSWORD}".encode()).decode()
URL = "http://192.0.2.2/v1"

BASIC = {"security_protocol": "basic", "username": "app", "password": "env:X"}
TOKEN = {"security_protocol": "token", "auth_token": "env:X"}
SECRETS = {"password": PASSWORD, "auth_token": PASSWORD, "default_header.X-Api-Key": PASSWORD}


def response(status: int, *headers: str, body: bytes = b"{}") -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def to(location: str) -> bytes:
    return response(302, f"Location: {location}")


async def talk(*words: bytes, others: tuple[Peer | Exception, ...] = (), **changes: Any) -> Conversation:
    return await converse("restapi", {"url": URL, **changes}, SECRETS, Peer(*words), *others)


OK = response(200)


@pytest.mark.parametrize(("there", "code"), [*mistrusted(), (server_context(), None)])
async def test_the_certificate_at_the_end_of_a_redirect(there: ssl.SSLContext, code: str | None) -> None:
    def says(words: bytes) -> Handler:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(words)
            await writer.drain()

        return answer

    async with listening(says(OK), ssl=there) as secure:
        elsewhere = f"https://127.0.0.1:{secure}/"
        async with listening(says(to(elsewhere))) as port:
            target = target_of("restapi", {"url": f"http://127.0.0.1:{port}/v1"}, **trusting())
            found = await check(target, LocalVantage(), timeout=3)
    assert (found.cause, found.component) == (code, elsewhere if code else ""), found


_REJECTED = {"errno": "ECONNREFUSED", "icmp_version": 4, "icmp_type": 3, "icmp_code": 13, "icmp_from": "192.0.2.1"}


@pytest.mark.parametrize(
    ("there", "code", "component"),
    [
        (StageFailed(name="elsewhere.example", rcode="NXDOMAIN"), "DNS.NXDOMAIN", "elsewhere.example"),
        (StageFailed(name="elsewhere.example", rcode="NOERROR"), "DNS.NO_ADDRESS", "elsewhere.example"),
        (ConnectFailed(errno="ECONNREFUSED", dialled="192.0.2.7"), "PORT.CLOSED", "192.0.2.7:80"),
        (ConnectFailed(**_REJECTED, dialled="192.0.2.7"), "FILTER.REJECT", "192.0.2.1"),
        (ConnectFailed(silent=True, waited_ms=3000, dialled="192.0.2.7"), INCONCLUSIVE, "192.0.2.7:80"),
        (ConnectFailed(silent=True, waited_ms=30, dialled="192.0.2.7"), "PROBE.DEADLINE", "target"),
        (Peer(), "PEER.RESET_EARLY", "elsewhere.example:80"),
        (Peer(b"SSH-2.0-OpenSSH_9.2\r\n"), "PROTO.MISMATCH", "elsewhere.example:80"),
    ],
)
async def test_the_place_that_a_redirect_leads_to_has_causes_of_its_own(
    there: Peer | Exception, code: str, component: str
) -> None:
    went = await talk(to("http://elsewhere.example/a?b"), others=(there,))
    assert went.finding is not None, str(went)
    assert (went.finding.code, went.finding.component) == (code, component), str(went)
    assert went.finding.message.endswith("; the redirect of s leads there (http://elsewhere.example/a).")
    assert "Configure the URL that answers without a redirect" in went.finding.remedy


@pytest.mark.parametrize(
    ("words", "changes", "code"),
    [
        (OK, {}, None),
        (response(204, body=b"") + OK, BASIC, None),
        (response(401, 'WWW-Authenticate: Basic realm="a, b"') + OK, BASIC, None),
        (response(401, "WWW-Authenticate: Basic") * 2, BASIC, "AUTH.BAD_CREDENTIALS"),
        (response(401) * 2, BASIC, "AUTH.BAD_CREDENTIALS"),
        (response(401, 'WWW-Authenticate: Bearer realm="x", Basic realm="y"') * 2, BASIC, "AUTH.BAD_CREDENTIALS"),
        (response(401, 'WWW-Authenticate: Bearer realm="Basic, x"') * 2, BASIC, "AUTH.METHOD_UNSUPPORTED"),
        (response(401, "WWW-Authenticate: Negotiate") * 2, TOKEN, "AUTH.METHOD_UNSUPPORTED"),
        (response(401, 'WWW-Authenticate: Bearer error="invalid_token"') * 2, TOKEN, "AUTH.TOKEN"),
        (response(401) * 2, {"default_header": {"X-Api-Key": "env:X"}}, "AUTH.TOKEN"),
        (response(401), {}, "AUTH.BAD_CREDENTIALS"),
        (response(401, "WWW-Authenticate: Digest realm=x"), {}, "AUTH.METHOD_UNSUPPORTED"),
        (response(403), {}, "PRIV.OBJECT_DENIED"),
        (response(404), {}, "TARGET.MISSING"),
        (response(405), {}, "CONFIG.BAD_VALUE"),
        (response(503, "Retry-After: 5"), {}, "SERVER.NOT_READY"),
        (response(500), {}, "SERVER.ERROR"),
        (response(999), {}, "SERVER.ERROR"),
        (response(304, body=b""), {}, "SERVER.ERROR"),
        (response(304, body=b""), {"default_header": {"If-None-Match": '"1"'}}, None),
        (response(300), {}, "SERVER.ERROR"),
        (response(204, body=b"").replace(b"Content-Length: 0\r\n", b""), {}, None),
        (OK.replace(b"Content-Length: 2", b"Content-Length: 900"), {}, "SERVER.ERROR"),
        (OK.replace(b"Content-Length: 2", b"Connection: close"), {}, None),
        (OK + OK.replace(b"Content-Length: 2", b"Content-Length: 900"), {"objects": ["orders"]}, "SERVER.ERROR"),
        (response(302), {}, "SERVER.ERROR"),
        (to("/v2") + OK, {}, None),
        (to("https://[::1"), {}, "CONFIG.BAD_VALUE"),
        (to("http://192.0.2.2:99999/"), {}, "CONFIG.BAD_VALUE"),
        (to("javascript:alert(1)"), {}, "CONFIG.BAD_VALUE"),
        (b"".join(to(f"/{n}") for n in range(9)), {}, "TARGET.REDIRECT_LOOP"),
        (b"".join(to(f"/{n}") for n in range(5)) + OK, {}, None),
        (to("/v1#again"), {}, "TARGET.REDIRECT_LOOP"),
        (response(100, body=b"").replace(b"Content-Length: 0\r\n", b"") + OK, {}, None),
        (response(404) + OK, {"objects": ["orders"]}, None),
        (response(404) * 2, {"objects": ["orders"]}, "TARGET.MISSING"),
        (OK + response(404), {"objects": ["orders"]}, "TARGET.OBJECT_MISSING"),
        (OK + response(401), {"objects": ["orders"]}, "AUTH.BAD_CREDENTIALS"),
        (OK + response(403), {"objects": ["orders"]}, "PRIV.OBJECT_DENIED"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", {}, "SERVER.ERROR"),
        (b"HTTP/1.1 ", {}, "SERVER.ERROR"),
        (b"", {}, "PEER.RESET_EARLY"),
        (b"HTT", {}, "SERVER.ERROR"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "PROTO.MISMATCH"),
        (b"\x15\x03\x01\x00\x02\x02\x46", {}, "PROTO.MISMATCH"),
    ],
)
async def test_statuses_and_challenges_decide(words: bytes, changes: dict[str, Any], code: str | None) -> None:
    went = await talk(words, **changes)
    assert went.cause == code, str(went)


@pytest.mark.parametrize(("anonymous", "status"), [(OK, "warned"), (response(401), "passed")])
async def test_credentials_that_nobody_asks_for_are_not_called_proved(anonymous: bytes, status: str) -> None:
    went = await talk(anonymous + OK, **BASIC)
    assert went.cause is None, str(went)
    login = went.steps.named("login")
    assert login is not None
    assert login.status == status


async def test_a_connection_that_ended_while_idle_is_opened_again() -> None:
    went = await talk(response(401), others=(Peer(OK),), **BASIC)
    assert went.cause is None, str(went)


async def test_no_secret_is_sent_before_the_peer_has_answered_as_http() -> None:
    for words in (b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200\r\nbroken\r\n\r\n"):
        for changes in (BASIC, TOKEN, {"default_header": {"X-Api-Key": "env:X"}}):
            peer = Peer(words)
            await converse("restapi", {"url": URL, **changes}, SECRETS, peer)
            assert PASSWORD.encode() not in peer.heard
            assert BLOB.encode() not in peer.heard


@pytest.mark.parametrize(
    "location",
    [
        "http://192.0.2.3/",
        "http://192.0.2.2:8080/",
        "//192.0.2.3/",
        "http://192.0.2.2@192.0.2.3/",
        "http://192.0.2.2.evil/",
    ],
)
async def test_credentials_stay_with_their_origin(location: str) -> None:
    stranger = Peer(to(URL) + OK)  # it also tries to get them by way of the origin itself
    home = Peer(OK)
    headers = {"X-Api-Key": "env:X", "X-Tenant": "shop"}
    went = await talk(OK + to(location), others=(stranger, home), default_header=headers, **BASIC)
    for peer in (stranger, home):
        assert BLOB.encode() not in peer.heard, str(went)
        assert PASSWORD.encode() not in peer.heard
    assert stranger.heard.startswith(b"GET /")
    assert b"x-tenant" not in stranger.heard.lower()


async def test_a_host_header_of_the_configuration_does_not_steer() -> None:
    peer = Peer(OK)
    await converse("restapi", {"url": URL, "default_header": {"Host": "evil", "Content-Length": "5"}}, {}, peer)
    assert peer.heard.lower().count(b"host:") == 1
    assert b"evil" not in peer.heard


@pytest.mark.parametrize("field", ["Server: {}", "Location: /{}", "Location: http://{}.test/", "WWW-Authenticate: {}"])
@pytest.mark.parametrize("secret", [PASSWORD, BLOB])
async def test_a_server_that_repeats_a_secret_is_not_quoted(field: str, secret: str) -> None:
    for status in (302, 401, 500):
        went = await talk(OK + response(status, field.format(secret)), **BASIC)
        assert secret not in str(went)
    went = await talk(OK + secret.encode(), **BASIC)
    assert secret not in str(went)


async def test_what_no_header_can_carry_is_told() -> None:
    went = await converse("restapi", {"url": URL, **TOKEN}, {"auth_token": "two\nlines"}, Peer(OK))
    assert went.cause == "CONFIG.BAD_VALUE"
    assert "two" not in str(went)


def test_the_schemes_of_challenges() -> None:
    def schemes(challenge: str) -> list[str]:
        return Response("http://a/", 401, "1.1", {"www-authenticate": challenge}).schemes

    assert schemes('Basic realm="a"') == ["basic"]
    assert schemes('Digest realm="a", nonce="b", Basic realm="c"') == ["digest", "basic"]
    assert schemes("Negotiate, NTLM") == ["negotiate", "ntlm"]
    assert schemes('Bearer realm="please, Basic users"') == ["bearer"]
    assert schemes("") == []


def test_origins() -> None:
    assert Origin.of("https://Api.test/x") == Origin("https", "api.test", 443)
    assert Origin.of("http://[fd00::1]:81/").url("/x") == "http://[fd00::1]:81/x"
    for bad in ("ftp://a/", "http:///x", "http://a:99999/", "malformed:", "http://[::1"):
        with pytest.raises(ValueError):
            Origin.of(bad)


_WORDS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([OK, response(401), response(403), response(404), to("/a"), to("http://192.0.2.9/"), to("//[")]),
    st.sampled_from(
        [b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nab", b"\r\n", b"HTTP/1.1 101 x\r\n\r\n"]
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_WORDS, max_size=8), st.sampled_from([{}, BASIC, TOKEN, {"objects": ["a", "../b"]}]))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(
    words: list[bytes], changes: dict[str, Any]
) -> None:
    went = await talk(*words, others=(Peer(*words), Peer(*words[1:])), **changes)
    assert went.cause is None or went.cause in causes.catalogue(), str(went)
    assert PASSWORD not in str(went)
    assert BLOB not in str(went)


def test_the_answers_name_causes_of_the_catalogue() -> None:
    for answer in PROTOCOL.answers:
        assert answer.code in causes.catalogue()
        assert (answer.code == INCONCLUSIVE) == bool(answer.alternatives)
        assert set(answer.alternatives) <= set(causes.catalogue())
