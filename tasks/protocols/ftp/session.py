"""A conversation over FTP: login, directories, and files over data connections."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.comparison.survey import Object, Survey, Wanted
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.protocols import Access, Dial, Retry, Session
from tasks.protocols.ftp.wire import Reply, extended_passive_port, other, passive_port, quoted_path, read_reply
from tasks.streams import Reader, Stream, StreamBroken, printable
from tasks.tls import TlsStream, start_tls
from tasks.vantages import ConnectFailed

_IMPLICIT_TLS_PORT = 990
#: As much of a listing or a file as is read.
_ENOUGH = 1 << 18
#: What is read of a file: more than a packet holds, so that a way that swallows large ones shows.
_SAMPLE = 16384
#: Directories on the way up to one that may be listed.
_HIGHEST = 16
_CONTROL = re.compile("[\x00-\x1f\x7f]")
#: What refuses a file or directory: 450 busy, 550 not there or not allowed, 553 no such name.
_UNAVAILABLE = frozenset({450, 550, 553})


class FtpSession(Session):
    """One conversation with one FTP server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._control: TlsStream | None = None
        self._greeting = ""
        self._admitted = Reply(0, "")
        self._base = "."
        self._implicit = access.tls.wanted and access.port == _IMPLICIT_TLS_PORT
        if self._implicit:
            self.order = ("tls", "greet", "admit", "login", "target", "privilege")

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        reply = await read_reply(self.reader)
        while reply.code == 120:  # "ready in so many minutes"; the budget ends the waiting
            reply = await read_reply(self.reader)
        recorder.see(server_version=reply.text, reply_code=reply.code)
        self._greeting = f"{reply.code} {reply.text}"
        if reply.code < 400 and reply.code != 220:  # NNTP greets with 200
            raise StageFailed(not_protocol=True, first_bytes=self._greeting)
        if reply.code != 220:
            raise self._refusal("the connection", reply)

    async def tls(self, recorder: Recorder) -> None:
        if not self.access.tls.wanted:
            raise StageSkipped("TLS is not configured")
        if not self._implicit:
            reply = await self._ask("AUTH", "TLS")
            if reply.code != 234:
                raise StageFailed(tls_refused=True, **self._refusal("AUTH", reply).evidence)
            if self.reader.buffer:
                # Plaintext after the answer would be taken for what came over TLS (CVE-2011-0411 and its kin).
                raise StageFailed(not_protocol=True, first_bytes=printable(bytes(self.reader.buffer)))
        self._control, facts = await start_tls(self.stream, self.access.tls, self.access.host)
        self.stream = self._control
        self.reader = Reader(self.stream)
        recorder.see(**facts)

    async def admit(self, recorder: Recorder) -> None:
        """The server lets this user begin; nothing secret is sent yet."""
        self._refuse_control_characters()
        reply = await self._ask("USER", str(self.access.setting("username", "anonymous")))
        recorder.see(reply_code=reply.code, over_tls=self._control is not None)
        if reply.code in (500, 502):
            # Every FTP server knows USER (RFC 959, section 5.1); others greet with 220 as well, SMTP above all.
            greeting = self._greeting.encode()
            raise StageFailed(not_protocol=True, first_bytes=printable(greeting), looks_like=other(greeting))
        if not (reply.done or reply.code in (331, 332)):
            raise self._refusal("USER", reply)
        self._admitted = reply

    def _refuse_control_characters(self) -> None:
        """A line break would make a command of what follows it."""
        fields = {
            "username": self.access.setting("username", ""),
            "password": self.access.secret("password") or "",
            "base_dir": self.access.setting("base_dir", ""),
            "objects": "".join(self.access.connection.objects),
        }
        for field, value in fields.items():
            if _CONTROL.search(value):
                raise StageFailed(bad_field=field)

    async def login(self, recorder: Recorder) -> None:
        reply = self._admitted
        if reply.code == 331:
            password = self.access.secret("password")
            if password is None:
                raise StageFailed(no_password=True)
            reply = replace(await self._ask("PASS", password), text="")
        recorder.see(reply_code=reply.code)
        if reply.code == 332:
            raise StageFailed(method="an account of its own (ACCT)", unsupported=True)
        if not reply.done:
            raise self._refusal("PASS", reply)
        if self._control is not None:
            await self._protect(recorder)

    async def _protect(self, recorder: Recorder) -> None:
        """Let data go over TLS too (RFC 4217, section 9)."""
        await self._ask("PBSZ", "0")
        reply = await self._ask("PROT", "P")
        recorder.see(data_protected=reply.done)
        if not reply.done:
            raise StageFailed(prot_refused=True, **self._refusal("PROT", reply).evidence)

    async def target(self, recorder: Recorder) -> None:
        base = self.access.setting("base_dir")
        if base is not None:
            reply = await self._ask("CWD", base)
            if not reply.done:
                presence = await self._presence(base) if reply.code in _UNAVAILABLE else None
                raise StageFailed(**self._refusal("CWD", reply).evidence, database=base, presence=presence)
        here = await self._directory()
        self._base = base if base is not None and base.startswith("/") else here or base or "."
        recorder.see(base_dir=self._base)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        await self._ask("TYPE", "I")
        for name in objects:
            await self._read(posixpath.join(self._base, name.lstrip("/")), name)
        if objects:
            recorder.see(objects=list(objects))
        elif await self._list(self._base):
            recorder.see(listed=True)
        else:
            recorder.warn(nothing_to_read="the directory is empty")

    async def survey(self, wanted: Wanted) -> Survey:
        await self._ask("TYPE", "I")
        found = {name: await self._surveyed(name) for name in self.access.connection.objects}
        notes = tuple(f"{name}: the server does not tell whether it is there" for name, one in found.items() if not one)
        return Survey({}, tuple(filter(None, found.values())), complete=not notes, notes=notes)

    async def _surveyed(self, name: str) -> Object | None:
        """A path, with the time of its last change (RFC 3659, section 3); None where that cannot be found out."""
        path = posixpath.join(self._base, name.lstrip("/"))
        if (await self._ask("SIZE", path)).code == 213:
            changed = await self._ask("MDTM", path)
            newest = changed.text.strip() if changed.code == 213 else None
            return Object(name, exists=True, kind="file", newest=newest, newest_of="MDTM")
        if (await self._ask("CWD", path)).done:
            return Object(name, exists=True, kind="directory")
        presence = await self._presence(path)
        return Object(name, exists=presence != "missing") if presence in ("missing", "there") else None

    async def close(self) -> None:
        try:
            if self._admitted.code:
                await self.stream.send(b"QUIT\r\n")
        except Exception:  # noqa: S110 - a goodbye is never worth an error
            pass
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """A server that refuses plaintext goes on over TLS."""
        until = _plaintext_refused(stage, evidence.get("reply_code"))
        if self._control is not None or until is None:
            return {}
        outcome = await retry(self.access.over(replace(self.access.tls, mode="require")), until=until)
        if outcome.stage == "tls":
            return {"other_way": "not offered" if outcome.evidence.get("tls_refused") else "tls failed"}
        return {"other_way": "admitted" if outcome.stage is None else "refused"}

    # -- files --------------------------------------------------------------------------------------------------------

    async def _directory(self) -> str | None:
        return quoted_path(await self._ask("PWD"))

    async def _read(self, path: str, name: str) -> None:
        """Read the beginning of a file, or list a directory. Raises `StageFailed` with ``presence``."""
        try:
            await self._transfer("RETR", path, limit=_SAMPLE)
        except StageFailed as failure:
            if failure.evidence.get("reply_code") not in _UNAVAILABLE:
                raise
            if (await self._ask("CWD", path)).done:
                await self._list(name)
                return
            there = (await self._ask("SIZE", path)).code == 213
            presence = "there" if there else await self._presence(path)
            raise StageFailed(**failure.evidence, object=name, database=self._base, presence=presence) from None

    async def _list(self, name: str) -> bool:
        """Whether the current directory shows anything; an empty one shows itself at least when asked for all."""
        try:
            if await self._transfer("LIST"):
                return True
        except StageFailed as failure:
            raise StageFailed(**failure.evidence, object=name) from None
        # Some servers (vsftpd among them) list a directory that may not be read as if it were empty.
        if not await self._transfer("LIST", "-a"):
            raise StageFailed(nothing_listed=True, object=name)
        return False

    async def _presence(self, path: str) -> str:
        """Whether the directories above show a path: ``there``, ``missing`` or ``unknown``."""
        try:
            if (await self._ask("SIZE", path)).code == 213:
                return "file"
            parent, name = posixpath.split(path.rstrip("/"))
            for _ in range(_HIGHEST):
                if not parent or (await self._ask("CWD", parent)).done:
                    break
                parent, name = posixpath.split(parent)
            lines = (await self._transfer("NLST")).decode(errors="replace").splitlines()
        except (StageFailed, StreamBroken):
            return "unknown"
        names = {posixpath.basename(line.strip()) for line in lines}
        if name in names:
            return "there"
        return "missing" if names and not name.startswith(".") else "unknown"

    async def _transfer(self, word: str, argument: str = "", *, limit: int = _ENOUGH) -> bytes:
        """What a command sends over a data connection, up to about `limit` bytes."""
        port = await self._passive_port()
        data = await self._open_data(port)
        try:
            reply = await self._ask(word, argument)
            if not reply.begun:
                raise self._refusal(word, reply)
            if self._control is not None:
                data = await self._secured(data, port, word)
            content = await _drain(data, limit)
        finally:
            data.close()
        reply = await self._reply()
        if not reply.done and not content:
            raise self._refusal(word, reply)
        return content

    async def _passive_port(self) -> int:
        """The port for the next data connection; it leads to the address of this conversation, whatever PASV names."""
        reply = await self._ask("EPSV")
        port = extended_passive_port(reply)
        if port is None:
            reply = await self._ask("PASV")
            port = passive_port(reply)
        if port is None or not 0 < port < 65536:
            raise self._refusal("PASV", reply)
        return port

    async def _open_data(self, port: int) -> Stream:
        try:
            return await self.dial(port)
        except ConnectFailed as failure:
            waited = failure.evidence.get("waited_ms", 0.0)
            hasty = bool(failure.evidence.get("silent")) and self.stream.budget.too_short_for_silence(waited / 1000)
            raise StageFailed(**failure.evidence, data_port=port, hasty=hasty) from None

    async def _secured(self, data: Stream, port: int, word: str) -> Stream:
        try:
            return (await start_tls(data, self.access.tls, self.access.host, resume=self._control))[0]
        except StageFailed as failure:
            reply = await self._reply()  # the server says why, if it is the one that minds
            if reply.code >= 400:
                raise self._refusal(word, reply) from None
            raise StageFailed(
                **failure.evidence, data_port=port, server_said="a failed TLS handshake on the data connection"
            ) from None

    # -- commands -----------------------------------------------------------------------------------------------------

    async def _ask(self, word: str, argument: str = "") -> Reply:
        await self.stream.send(f"{word} {argument}".strip().encode() + b"\r\n")
        return await self._reply()

    async def _reply(self) -> Reply:
        try:
            return await read_reply(self.reader)
        except StageFailed as failure:
            raise StageFailed(**{**failure.evidence, "server_said": "bytes that are no FTP reply"}) from None

    def _refusal(self, what: str, reply: Reply) -> StageFailed:
        return StageFailed(
            command=what,
            reply_code=reply.code,
            server_message=reply.text or None,
            server_said=f"FTP reply {reply.code} to {what}",
            over_tls=self._control is not None,
        )


async def _drain(data: Stream, limit: int) -> bytes:
    content = bytearray()
    try:
        while len(content) < limit:
            content += await data.receive()
    except StreamBroken as broken:
        if broken.kind == "silent":
            raise
    return bytes(content)


def _plaintext_refused(stage: str, code: object) -> str | None:
    """The stage to which a conversation over TLS has to get to show that only plaintext is refused."""
    if stage == "admit" and code is not None:
        return "admit"
    if stage == "login" and code == 534:
        return "admit"
    if stage in ("target", "privilege") and code in (521, 522):
        return "privilege"
    return None
