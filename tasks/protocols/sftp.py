"""SFTP: files over SSH (version 3 of draft-ietf-secsh-filexfer, as OpenSSH speaks it)."""

from __future__ import annotations

import errno
import posixpath
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import paramiko

from registry.verdict import INCONCLUSIVE
from tasks.comparison.survey import Object, Survey, Wanted
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.protocols import Access, Answer, Dial, Protocol, Session
from tasks.ssh import HostKey, KeyUnusable, KnownKeys, SshConnection, given_keys, known_keys, load_key
from tasks.streams import Stream

_PASSWORD_METHODS = ("password", "keyboard-interactive")


class SftpSession(Session):
    """One conversation with one SFTP server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.ssh = SshConnection(stream)
        self._sftp: paramiko.SFTPClient | None = None

    async def greet(self, recorder: Recorder) -> None:
        recorder.see(server_version=await self.ssh.greet())

    async def tls(self, recorder: Recorder) -> None:
        raise StageSkipped("SSH encrypts by itself")

    async def admit(self, recorder: Recorder) -> None:
        known = self._known()
        shown = await self.ssh.exchange_keys([key.kind for key in known.trusted])
        recorder.see(host_key_type=shown.kind, shown_fingerprint=shown.fingerprint)
        distrust = _distrust(shown, known)
        if distrust and distrust["host_key"] != "unknown":
            raise StageFailed(**distrust)
        if distrust:
            # Nobody has told which key to expect: as with TLS that is not verified, the check goes on and says so.
            recorder.warn(host_key_verified=False, host_key_line=shown.line)

    def _known(self) -> KnownKeys:
        given = self.access.setting("host_key")
        if given is None:
            return known_keys(self.access.host, self.access.port)
        try:
            found = given_keys(str(given), "host_key")
        except ValueError as problem:
            raise StageFailed(bad_field="host_key", reason=str(problem)) from None
        if not found.trusted:
            raise StageFailed(bad_field="host_key", reason="there is no key in it")
        return found

    def _methods(self) -> tuple[str, ...]:
        """The ways in which this configuration can prove who it is, the preferred one first."""
        by_key = self.access.secret("ssh_key_file") is not None
        wanted = self.access.setting("security_protocol")
        methods: tuple[str, ...] = ("publickey",) if by_key and wanted != "passwordAuth" else ()
        if self.access.secret("password") is not None and wanted != "authTypeSshKey":
            methods += _PASSWORD_METHODS
        return methods

    async def login(self, recorder: Recorder) -> None:
        usable = self._methods()
        if not usable:
            await self._without_proof(recorder)
            return
        key = self._key() if "publickey" in usable else None
        asked, used = list(usable), list[str]()
        while method := next((method for method in usable if method in asked and method not in used), None):
            used.append(method)
            recorder.see(methods=list(used))
            try:
                asked = list(await self._prove(method, key))
            except StageFailed as failure:
                if "allowed_methods" not in failure.evidence:
                    raise
                asked = failure.evidence["allowed_methods"]
                continue
            if not asked:
                return
        raise StageFailed(
            method=" or ".join(asked) or "no method at all",
            configured=list(usable),
            security_protocol=self.access.setting("security_protocol"),
            unsupported=True,
        )

    async def _prove(self, method: str, key: paramiko.PKey | None) -> Sequence[str]:
        """Prove one thing; gives what the server wants to see besides."""
        user = str(self.access.setting("username", ""))
        password = self.access.secret("password") or ""
        questions = list[str]()

        def answers(title: str, text: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
            questions.extend(question for question, _ in prompts)
            return ["" if shown else password for _, shown in prompts]

        def prove(transport: paramiko.Transport) -> Sequence[str]:
            if method == "publickey" and key is not None:
                return transport.auth_publickey(user, key)
            if method == "password":
                return transport.auth_password(user, password, fallback=False)
            return transport.auth_interactive(user, answers)

        try:
            return await self.ssh.authenticate(prove)
        except StageFailed as failure:
            if len(questions) > 1:
                raise StageFailed(method=f"{method} with {len(questions)} questions", unsupported=True) from None
            raise StageFailed(**failure.evidence, method=method, tried=True) from None

    async def _without_proof(self, recorder: Recorder) -> None:
        user = str(self.access.setting("username", ""))
        try:
            asked = await self.ssh.authenticate(lambda transport: transport.auth_none(user))
        except StageFailed as failure:
            if "allowed_methods" in failure.evidence or failure.evidence.get("rejected"):
                raise StageFailed(no_password=True, **failure.evidence) from None
            raise
        if asked:
            raise StageFailed(no_password=True, allowed_methods=list(asked))
        recorder.see(methods=["none"])

    def _key(self) -> paramiko.PKey:
        try:
            return load_key(self.access.secret("ssh_key_file") or "", self.access.secret("ssh_key_password"))
        except KeyUnusable as unusable:
            raise StageFailed(bad_key=unusable.why) from None

    async def target(self, recorder: Recorder) -> None:
        sftp = self._sftp = await self.ssh.open_sftp()
        base = self._base()
        recorder.see(base_dir=base)

        def enter() -> int | None:
            mode = sftp.stat(base).st_mode
            if mode is None or stat.S_ISDIR(mode):
                sftp.stat(posixpath.join(base, "."))  # needs the right to search the directory itself
            return mode

        mode = await self._ask(enter, database=base)
        if mode is not None and not stat.S_ISDIR(mode):
            raise StageFailed(not_a_directory=True, database=base)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            await self._read(posixpath.join(self._base(), name.lstrip("/")), name)
        if objects:
            recorder.see(objects=list(objects))
            return
        if await self._ask(lambda: self._listed(self._base()), object=self._base()):
            recorder.see(listed=True)
        else:
            recorder.warn(nothing_to_read="the directory is empty")

    async def _read(self, path: str, name: str) -> None:
        sftp = self._client()

        def read() -> None:
            mode = sftp.stat(path).st_mode
            if mode is not None and stat.S_ISDIR(mode):
                self._listed(path)
                return
            with sftp.open(path, "rb") as file:
                file.read(1)

        await self._ask(read, object=name, database=self._base())

    def _listed(self, path: str) -> bool:
        """Whether a directory shows anything. Raises `OSError` when it may not be listed."""
        return next(iter(self._client().listdir_iter(path, read_aheads=1)), None) is not None

    async def _ask(self, work: Any, **about: Any) -> Any:
        """Ask for files. The status codes decide (SSH_FX_NO_SUCH_FILE, SSH_FX_PERMISSION_DENIED, others)."""
        try:
            return await self.ssh.call(work, OSError)
        except FileNotFoundError:
            raise StageFailed(sftp_status="SSH_FX_NO_SUCH_FILE", **about) from None
        except PermissionError:
            raise StageFailed(sftp_status="SSH_FX_PERMISSION_DENIED", **about) from None
        except OSError as error:
            if self.ssh.ended:
                raise self.ssh.failure(error) from None
            said = errno.errorcode.get(error.errno or 0, "SSH_FX_FAILURE")
            raise StageFailed(sftp_status=said, server_said=said, **about) from None

    def _base(self) -> str:
        return str(self.access.setting("base_dir", "."))

    def _client(self) -> paramiko.SFTPClient:
        assert self._sftp is not None  # noqa: S101 - the order of the stages
        return self._sftp

    async def survey(self, wanted: Wanted) -> Survey:
        found = {name: await self._surveyed(name) for name in self.access.connection.objects}
        notes = tuple(f"{name}: the account may not look there" for name, one in found.items() if one is None)
        return Survey({}, tuple(filter(None, found.values())), complete=not notes, notes=notes)

    async def _surveyed(self, name: str) -> Object | None:
        """A path, with the time of its last change; None where the account may not find out."""
        path = posixpath.join(self._base(), name.lstrip("/"))
        try:
            about = await self._ask(lambda: self._client().stat(path), object=name)
        except StageFailed as failure:
            if "sftp_status" not in failure.evidence:
                raise
            missing = failure.evidence["sftp_status"] == "SSH_FX_NO_SUCH_FILE"
            return Object(name, exists=False) if missing else None
        kind = "directory" if about.st_mode is not None and stat.S_ISDIR(about.st_mode) else "file"
        changed = datetime.fromtimestamp(about.st_mtime, UTC).isoformat() if about.st_mtime is not None else None
        return Object(name, exists=True, kind=kind, newest=changed, newest_of="changed")

    async def close(self) -> None:
        await self.ssh.close()


def _distrust(shown: HostKey, known: KnownKeys) -> dict[str, Any]:
    """Why a host key is not to be trusted, as evidence; empty when it is the one known."""
    evidence = {"shown_fingerprint": shown.fingerprint, "host_key_line": shown.line}
    if shown in known.revoked:
        return {**evidence, "host_key": "revoked"}
    if not known.trusted:
        return {**evidence, "host_key": "unknown"}
    if shown in known.trusted:
        return {}
    fingerprints = [key.fingerprint for key in known.trusted]
    return {**evidence, "host_key": "changed", "known_fingerprints": fingerprints, "known_from": known.where}


_NO_KEY: Mapping[str, Any] = {
    "unsupported": True,
    "configured": lambda methods: methods == ["publickey"],
    "method": lambda method: any(one in str(method).split(" or ") for one in _PASSWORD_METHODS),
}
_MISSING = {"sftp_status": "SSH_FX_NO_SUCH_FILE"}
_DENIED = {"sftp_status": "SSH_FX_PERMISSION_DENIED"}
_DIRECTORY = "Correct base_dir of {source}/{env}, or have the directory created."

ANSWERS: tuple[Answer, ...] = (
    # OpenSSH refuses in these fixed words before its version line, where the protocol has no code.
    Answer("CAPACITY.CONNECTIONS", {"before_version": "Exceeded MaxStartups"}, stage="greet"),
    Answer(
        INCONCLUSIVE,
        {"before_version": "Not allowed at this time"},
        stage="greet",
        alternatives=("CAPACITY.CONNECTIONS", "ADMIT.ALLOWLIST"),
        component="{address}:{port}",
        message="{address}:{port} refuses {source_address} for now: too many logins under way, or a penalty for "
        "failed ones.",
        remedy="Test again in a minute; if that does not help, see MaxStartups and PerSourcePenalties of the "
        "SSH server.",
    ),
    # There is no code of its own for SSH's ciphers: it is the same fault as with TLS, and the same people mend it.
    Answer(
        "TLS.VERSION_OR_CIPHER",
        {"no_common_algorithm": True},
        message="{address}:{port} and this client have no SSH algorithm in common (key exchange: "
        "{key_exchange_offered}; host keys: {host_keys_offered}; ciphers: {ciphers_offered}).",
        remedy="Let the SSH server offer curve25519-sha256, an ed25519 host key and an AES-CTR or AES-GCM cipher.",
    ),
    Answer(
        "TLS.VERSION_OR_CIPHER",
        {"ssh_version": bool},
        message="{address}:{port} speaks an SSH version that is no longer safe ({ssh_version}).",
        remedy="Let the server speak SSH 2.",
    ),
    Answer(
        "TLS.VERSION_OR_CIPHER",
        {"disconnect_code": frozenset({3, 8})},
        message="{address}:{port} ends the SSH key exchange ({server_said}): no version or algorithm in common.",
        remedy="Let the SSH server offer current algorithms.",
    ),
    Answer("ADMIT.ALLOWLIST", {"disconnect_code": 1}),
    Answer("SERVER.NOT_READY", {"disconnect_code": 7}),
    Answer("CAPACITY.CONNECTIONS", {"disconnect_code": 12}),
    Answer("AUTH.USER_UNKNOWN", {"disconnect_code": 15}),
    # OpenSSH reports "too many authentication failures" as a protocol error.
    Answer("AUTH.BAD_CREDENTIALS", {"disconnect_code": frozenset({2, 14}), "tried": True}, stage="login"),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"rejected": True, "method": "publickey"},
        message="{address}:{port} does not accept the key of {username}: it is not among the authorized ones, or "
        "the account may not log in.",
        remedy="Add the public key that belongs to ssh_key_file to the authorized_keys of {username}, or correct "
        "ssh_key_file of {source}/{env}.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} wants {username} to prove who it is ({allowed_methods}), and {source}/{env} has "
        "neither password nor key.",
        remedy="Set password or ssh_key_file for {source}/{env}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"rejected": True}),
    # A method that is asked for by its name stays the only one, whatever else is configured.
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {**_NO_KEY, "security_protocol": bool},
        message="{address}:{port} takes no public key of {username}, but {method}.",
        remedy="Set security_protocol: passwordAuth and password for {source}/{env}, or allow keys on the server: "
        "PubkeyAuthentication yes.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        _NO_KEY,
        message="{address}:{port} takes no public key of {username}, but {method}.",
        remedy="Set password for {source}/{env}, or allow keys on the server: PubkeyAuthentication yes.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"unsupported": True, "method": "publickey", "security_protocol": "passwordAuth"},
        message="{address}:{port} takes no password of {username}, but a public key.",
        remedy="Set security_protocol: authTypeSshKey and ssh_key_file for {source}/{env}, or allow passwords on the "
        "server: PasswordAuthentication yes.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"unsupported": True, "method": "publickey"},
        message="{address}:{port} takes no password of {username}, but a public key.",
        remedy="Set ssh_key_file for {source}/{env}, or allow passwords on the server: PasswordAuthentication yes.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    # PAM's account rules (expired, not allowed here) make OpenSSH hang up on a password that was right.
    Answer(
        INCONCLUSIVE,
        {"broken": frozenset({"eof", "reset"}), "tried": True},
        stage="login",
        alternatives=("AUTH.EXPIRED_OR_LOCKED", "AUTH.LOGIN_FORBIDDEN", "SERVER.ERROR"),
        component="{username}",
        message="{address}:{port} hangs up on {username} after the credentials: the account has expired or may not "
        "log in, or the server fails.",
        remedy="Look at the log of the SSH server at this time, and at the account: chage -l {username}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_key": "encrypted"},
        component="ssh_key_file",
        message="The private key given as ssh_key_file is encrypted, and no ssh_key_password is configured.",
        remedy="Set ssh_key_password for {source}/{env}, or give a key without a password.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_key": "wrong password"},
        component="ssh_key_password",
        message="The ssh_key_password does not open the private key given as ssh_key_file.",
        remedy="Correct ssh_key_password of {source}/{env}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_key": bool},
        component="ssh_key_file",
        message="What is given as ssh_key_file is no private key that can be read here.",
        remedy="Give a private key (not the .pub file) of type ed25519, ECDSA or RSA in OpenSSH's or PEM form; a "
        "PuTTY key is converted by: puttygen KEY.ppk -O private-openssh-new -o KEY.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_field": bool},
        component="{bad_field}",
        message="The {bad_field} of {source}/{env} cannot be used: {reason}.",
        remedy="Give the server's key as ssh-keyscan prints it, without the name: ssh-ed25519 AAAA...",
    ),
    Answer("CAPACITY.CONNECTIONS", {"channel_code": 4}),
    Answer(
        "TARGET.NO_CONNECT",
        {"no_sftp": True},
        component="SFTP",
        message="{username} may log in to {address}:{port}, but gets no SFTP there.",
        remedy="Let the SSH server offer it (Subsystem sftp internal-sftp), and {username} use it (a login shell "
        "that runs, or ForceCommand internal-sftp).",
    ),
    Answer("TARGET.MISSING", _MISSING, stage="target", remedy=_DIRECTORY),
    Answer(
        "TARGET.MISSING",
        {"not_a_directory": True},
        message="{database} on {address}:{port} is no directory.",
        remedy="Set base_dir of {source}/{env} to the directory, and name the file in objects.",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        _DENIED,
        stage="target",
        remedy="Let the owner of {database} give {username} the right to enter it (chmod +x, setfacl).",
    ),
    Answer("TARGET.OBJECT_MISSING", _MISSING, stage="privilege"),
    Answer(
        "PRIV.OBJECT_DENIED",
        _DENIED,
        stage="privilege",
        remedy="Let the owner of {object} give {username} the right to read it (chmod +r, setfacl).",
    ),
)

#: What keeps OpenSSH from greeting. Of a client that hosts.deny refuses, libwrap takes leave after five seconds only.
GREETS_LATE = (
    "One that looks up the names of its clients (UseDNS) greets late, and one that does not let this client in "
    "(hosts.deny, hosts.allow) hangs up after five seconds without a word: test with --timeout 30, and see its log."
)

PROTOCOL = Protocol(
    name="sftp", title="SFTP", fingerprint="SSH", session=SftpSession, answers=ANSWERS, greets_late=GREETS_LATE
)
