"""One conversation with one HTTP service."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry, Session
from tasks.protocols.http.wire import SAFE, Channel, NotHttp, Origin, Response
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import TlsMaterial, asks_for_certificate, may_want_tls, start_tls
from tasks.vantages import ConnectFailed, is_public

_MOST_REDIRECTS = 5
#: Statuses of the URL itself that leave the bound paths under it to decide: many services answer below it only.
_ONLY_BELOW = frozenset({403, 404, 405, 410})
#: What is read of a body, in bytes: more than a packet holds, so that a way that swallows large ones shows.
SAMPLE = 16384
#: The part of the time left that a body may take whose length was not announced: it may be one without an end.
_UNANNOUNCED = 0.95
#: Answers that go on for ever, a piece now and then.
_ENDLESS = frozenset({"text/event-stream", "multipart/x-mixed-replace"})
#: Headers that make a question of "has it changed?" (RFC 9110, section 13.1): 304 is an answer to it, and to no other.
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
#: Headers that frame a message or steer the connection: the connection's own.
_FRAMING = frozenset({"connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"})


class HttpSession(Session):
    """One conversation with one HTTP service."""

    order = ("tls", "greet", "admit", "login", "target", "privilege")
    #: The field of the connection that has the headers of every request.
    header_field = "default_header"
    #: Statuses that are no error here, though they are above 399.
    passing: frozenset[int] = frozenset()
    #: Whether the URL itself is nothing but the beginning of others.
    only_prefix = False

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        split = urlsplit(str(access.setting("url", "/")))
        self._home = Origin("https" if access.tls.wanted else "http", access.host.lower(), access.port)
        self._url = self._home.url((split.path or "/") + (f"?{split.query}" if split.query else ""))
        self._path = split.path
        self._channel = Channel(stream, self._home)
        self._fresh = True
        self._anonymous = self._answer = Response(self._url, 0, "")

    # -- stages -------------------------------------------------------------------------------------------------------

    async def tls(self, recorder: Recorder) -> None:
        if not self.access.tls.wanted:
            raise StageSkipped("the URL is an http one")
        self.stream, facts = await start_tls(self.stream, self.access.tls, self.access.host)
        self._channel = Channel(self.stream, self._home)
        recorder.see(**facts)

    async def greet(self, recorder: Recorder) -> None:
        self._anonymous = self._answer = await self._get(self._url, credentials=False)
        recorder.see(
            **self._shown(self._answer), http_version=self._answer.version, clock_skew_s=clock_skew(self._answer)
        )

    async def admit(self, recorder: Recorder) -> None:
        # 400: many servers' answer to plaintext on a TLS port; 426: an upgrade is wanted (RFC 9110, section 15.5.22).
        if self._answer.status in (400, 426) and not self.access.tls.wanted and await self._speaks_tls():
            raise StageFailed(**self._shown(self._answer), over_tls="answers")
        raise StageSkipped("HTTP does not tell an address that is not admitted from an account that may not read")

    async def login(self, recorder: Recorder) -> None:
        if self._method == "none":
            if self._answer.status in (401, 407):
                self._demand(self._answer)
            raise StageSkipped("no credentials are configured, and the server asks for none")
        if self._moves_to_tls(self._anonymous):
            raise StageSkipped("the credentials are not sent: the server redirects to https before it asks for them")
        self._answer = await self._get(self._url, credentials=True)
        recorder.see(**self._shown(self._answer), method=self._method)
        if self._answer.status in (401, 407):
            self._demand(self._answer)
        if self._anonymous.status < 300:
            recorder.warn(
                not_needed="the service answers without credentials as well: the configured ones are not proved"
            )

    async def target(self, recorder: Recorder) -> None:
        self._answer = await self._follow(self._answer)
        recorder.see(**self._shown(self._answer))
        if self._answer.status in _ONLY_BELOW and self.access.connection.objects:
            recorder.warn(answers_below_only=True)
        elif self._answer.status != 403:
            self._demand(self._answer)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        if not objects:
            self._demand(self._answer, object=self._plain(self._answer.url))
            await self._hear_out(self._answer, recorder)
            recorder.see(http_status=self._answer.status)
        for name in objects:
            path = f"{self._path.rstrip('/')}/{quote(name.lstrip('/'), safe=SAFE)}"
            answer = await self._follow(await self._get(self._home.url(path), credentials=self._sends))
            nothing_there = answer.status == self._answer.status == 404 and not self.only_prefix
            self._demand(answer, object=None if nothing_there else name)
            await self._hear_out(answer, recorder)
        if objects:
            recorder.see(objects=list(objects))

    async def close(self) -> None:
        self._channel.stream.close()
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """What parts a TLS port from a broken one, an address from an account, and a bad request from a certificate."""
        if stage == "greet" and not self.access.tls.wanted and may_want_tls(evidence):
            outcome = await retry(self.access.over(TlsMaterial(mode="require")), until="greet")
            return {"over_tls": "answers"} if outcome.stage not in ("connect", "tls") else {}
        if evidence.get("http_status") == 403:
            return {"anonymous_status": self._anonymous.status, "root_status": await self._root_status()}
        if evidence.get("http_status") == 400 and self.access.tls.wanted:
            asked = await asks_for_certificate(await self.dial(), self.access.host)
            return {"asks_certificate": asked, "root_status": await self._root_status()}
        return {}

    # -- requests -----------------------------------------------------------------------------------------------------

    async def _get(self, url: str, *, credentials: bool) -> Response:
        origin = Origin.of(url)
        fresh, self._fresh = self._fresh, False
        reused = not fresh and self._channel.origin == origin and await self._channel.reusable()
        if not fresh and not reused:
            await self._open(origin)
        headers = self._headers(origin, credentials)
        before = self._channel.stream.received
        try:
            return await self._ask(url, headers)
        except StreamBroken as broken:
            # A server may end an idle connection at any time (RFC 9112, section 9.3.1).
            if not reused or broken.kind == "silent" or self._channel.stream.received != before:
                raise
        await self._open(origin)
        return await self._ask(url, headers)

    async def _ask(self, url: str, headers: Mapping[str, str]) -> Response:
        try:
            return await self._channel.get(url, headers)
        except NotHttp as other:
            # Secrets may have been sent to it by now: then nothing of the peer's is shown.
            if self._anonymous.status and self._channel.origin == self._home:
                raise StageFailed(garbled=True, server_said="no HTTP response") from None
            first = other.first_bytes
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first)) from None

    async def _open(self, origin: Origin) -> None:
        self._channel.stream.close()
        elsewhere = None if origin.host == self._home.host else origin.host
        try:
            stream = await self.dial(origin.port, host=elsewhere)
        except ConnectFailed as failure:
            if origin != self._home:
                raise
            waited_ms = float(failure.evidence.get("waited_ms", 0))
            raise StreamBroken(
                "silent" if failure.evidence.get("silent") else "error",
                received=self.stream.received,
                silent_ms=waited_ms,
                error=failure.evidence.get("errno"),
            ) from None
        self._channel = Channel(stream, origin)
        if origin.scheme == "https":
            tls = self.access.tls if self.access.tls.wanted else replace(self.access.tls, mode="verify-full")
            secured, _ = await start_tls(stream, tls, origin.host)
            self._channel = Channel(secured, origin)

    def _headers(self, origin: Origin, credentials: bool) -> Mapping[str, str]:
        headers = {"user-agent": "headwater", "accept": "*/*"}
        if origin == self._home:
            headers |= self._own_headers(secret=False)
            headers |= self._own_headers(secret=True) if credentials else {}
            headers |= {"authorization": self._authorization} if credentials and self._authorization else {}
        return {"host": origin.authority, **headers}

    def _own_headers(self, *, secret: bool) -> dict[str, str]:
        configured = self.access.setting(self.header_field, {})
        secrets = {name: self.access.secret(f"{self.header_field}.{name}") for name in configured}
        return {
            name.lower(): str(value if secrets[name] is None else secrets[name])
            for name, value in configured.items()
            if name.lower() not in _FRAMING and (secrets[name] is not None) == secret
        }

    @property
    def _authorization(self) -> str | None:
        method = self.access.setting("security_protocol")
        if method == "basic":
            words = f"{self.access.setting('username', '')}:{self.access.secret('password') or ''}"
            return "Basic " + base64.b64encode(words.encode()).decode()
        return f"Bearer {self.access.secret('auth_token') or ''}" if method == "token" else None

    @property
    def _method(self) -> str:
        """How credentials are sent: ``basic``, ``token``, ``header`` or ``none``."""
        configured = str(self.access.setting("security_protocol"))
        if configured in ("basic", "token"):
            return configured
        return "header" if self._own_headers(secret=True) else "none"

    @property
    def _sends(self) -> bool:
        return self._method != "none" and not self._moves_to_tls(self._anonymous)

    async def _hear_out(self, answer: Response, recorder: Recorder) -> None:
        """Read the beginning of the body: that its head came through does not tell that large packets do."""
        if answer.media_type in _ENDLESS:
            return
        announced = "content-length" in answer.headers
        try:
            async with asyncio.timeout(None if announced else self.stream.budget.left() * _UNANNOUNCED):
                body = await self._channel.content(SAMPLE)
        except TimeoutError:
            recorder.warn(body_unheard="the service began an answer, and then let it wait")
        except StageFailed:
            raise StageFailed(
                **self._shown(answer), cut_off=True, server_said="an answer that ends before its end"
            ) from None
        else:
            recorder.see(body_bytes=len(body))

    # -- redirects ----------------------------------------------------------------------------------------------------

    async def _follow(self, answer: Response) -> Response:
        """The response at the end of the redirects. Every hop within the policy; credentials stay with their origin."""
        credentials, seen = self._sends, {answer.url}
        while True:
            url = answer.redirects_to
            if url is None:
                return answer
            try:
                stays = Origin.of(url) == self._home
            except ValueError:
                raise StageFailed(bad_redirect=True, url=self._plain(answer.url)) from None
            if url in seen or len(seen) > _MOST_REDIRECTS:
                raise StageFailed(redirect_loop=True, url=self._plain(answer.url), redirects=len(seen))
            seen.add(url)
            credentials = credentials and stays  # once gone elsewhere they are not sent again
            answer = await self._hop(url, credentials, stays)

    async def _hop(self, url: str, credentials: bool, stays: bool) -> Response:
        try:
            return await self._get(url, credentials=credentials)
        except ConnectFailed as failure:
            raise self._astray(url, "connect", self._not_connected(failure.evidence)) from None
        except StreamBroken as broken:
            if stays:
                raise
            raise self._astray(url, "tls" if broken.kind == "tls" else "greet", broken.evidence()) from None
        except StageFailed as failure:
            if stays or "forbidden" in failure.evidence:
                raise StageFailed(**failure.evidence, redirected_to=self._plain(url)) from None
            raise self._astray(url, _stage_of(failure.evidence), failure.evidence) from None

    def _astray(self, url: str, stage: str, evidence: Mapping[str, Any]) -> StageFailed:
        """The failure of the place that a redirect leads to: its own evidence, in its own stage."""
        there = Origin.of(url)
        host = self._safe(there.host) or "a host whose name repeats a secret"
        # Who has issued that certificate is not looked up.
        found = {("redirect_verify_code" if key == "verify_code" else key): value for key, value in evidence.items()}
        where = {"host": host, "address": host, "port": there.port}
        return StageFailed(**{**where, **found}, redirected_to=self._plain(url), redirect_stage=stage)

    def _not_connected(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        address = str(evidence.get("dialled", self.access.address))
        waited = float(evidence.get("waited_ms", 0)) / 1000
        hasty = evidence.get("silent") and self.stream.budget.too_short_for_silence(waited)
        return {**evidence, "address": address, "public": is_public(address) or None, "hasty": hasty or None}

    def _moves_to_tls(self, answer: Response) -> bool:
        """Whether a plaintext answer sends us to the same host over TLS."""
        url = answer.redirects_to
        try:
            there = Origin.of(url) if url else self._home
        except ValueError:
            return False
        return self._home.scheme == "http" and there.scheme == "https" and there.host == self._home.host

    # -- evidence -----------------------------------------------------------------------------------------------------

    def _demand(self, answer: Response, **more: Any) -> None:
        """Raise `StageFailed` for any status that is no answer to the question: an error, a redirect to nowhere."""
        asked = {name.lower() for name in self.access.setting(self.header_field, {})}
        unchanged = answer.status == 304 and not asked.isdisjoint(_CONDITIONS)
        if answer.status < 300 or answer.status in self.passing or unchanged:
            return
        found = {**self._shown(answer), **more, "server_said": f"HTTP {answer.status}"}
        if answer.status in (401, 407):
            found |= self._challenged(answer)
        raise StageFailed(**{key: value for key, value in found.items() if value is not None})

    def _challenged(self, answer: Response) -> dict[str, Any]:
        there = Origin.of(answer.url)
        moved = there != self._home
        to_tls = moved and there == Origin("https", self._home.host, there.port)
        # A 401 names the schemes that would do (RFC 9110, section 11.6.1).
        fits = not answer.schemes or {"basic": "basic" in answer.schemes}.get(self._method, not _negotiated(answer))
        return {
            "configured": self._method,
            "elsewhere": ("https" if to_tls else "another origin") if moved else None,
            "unsupported": None if fits else True,
            "method": ", ".join(answer.schemes) or "a scheme that it does not name",
        }

    def _shown(self, answer: Response) -> dict[str, Any]:
        server = self._safe(answer.headers.get("server"))
        retry_after = answer.headers.get("retry-after", "")
        return {
            "url": self._plain(answer.url),
            "http_status": answer.status,
            "http_class": answer.status // 100,
            "server": printable(server.encode()) if server else None,
            "location": self._plain(answer.redirects_to) if answer.redirects_to else None,
            "challenges": answer.schemes or None,
            "retry_after_s": int(retry_after) if re.fullmatch(r"[0-9]{1,9}", retry_after) else None,
        }

    def _plain(self, url: str) -> str:
        """A URL without what may be secret in it: user, query and fragment."""
        try:
            return self._safe(Origin.of(url).url(urlsplit(url).path or "/")) or "a location that repeats a secret"
        except ValueError:
            return "a location that is no http URL"

    def _safe(self, text: str | None) -> str | None:
        """A peer's words, unless they repeat a secret."""
        secrets = [value.get_secret_value() for value in self.access.secrets.values()]
        secrets += [self._authorization.partition(" ")[2]] if self._authorization else []
        return None if text is None or any(secret and secret in text for secret in secrets) else text

    async def _root_status(self) -> int | None:
        """What the root of the host answers to anybody."""
        try:
            return (await self._get(self._home.url("/"), credentials=False)).status
        except (StreamBroken, StageFailed):
            return None

    async def _speaks_tls(self) -> bool:
        try:
            stream = await self.dial()
        except ConnectFailed:
            return False
        try:
            await start_tls(stream, TlsMaterial(mode="require"), self.access.host)
        except (StageFailed, StreamBroken):
            return False
        finally:
            stream.close()
        return True


def _stage_of(evidence: Mapping[str, Any]) -> str:
    """The stage in which a place that we were sent to failed."""
    if "rcode" in evidence:
        return "resolve"
    of_tls = {"verify_code", "tls_error", "handshake_bytes", "not_tls", "bad_file"}
    return "greet" if of_tls.isdisjoint(evidence) else "tls"


def _negotiated(answer: Response) -> bool:
    return set(answer.schemes) <= {"negotiate", "ntlm", "kerberos", "digest"}


def clock_skew(answer: Response) -> float | None:
    """Seconds that the server's clock is ahead, by its Date; a cache's answer is older than its clock."""
    if "age" in answer.headers:
        return None
    try:
        return round(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time(), 0)
    except (KeyError, ValueError, OverflowError, TypeError):
        return None
