"""MySQL's protocol: what packets are made of, how passwords are proved, and what MySQL 8 says that no MariaDB does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from registry.connection import Mode
from registry.types import get
from registry.verdict import INCONCLUSIVE, Stage, Status, Verdict
from tasks import causes
from tasks.budget import Budget
from tasks.check import check
from tasks.diagnosis import explain
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.protocols import Access
from tasks.protocols.mysql import PROTOCOL, authentication, grants, wire
from tasks.protocols.mysql.grants import select_granted
from tasks.protocols.mysql.names import account, quoted, table_in
from tasks.protocols.mysql.privileges import privileges
from tasks.protocols.mysql.session import MysqlSession
from tasks.streams import Stream, StreamBroken
from tasks.target import Target
from tasks.tls import TlsMaterial
from tasks.vantages.local import LocalVantage
from tests.tasks.support import failed

PASSWORD = "canary-passw0rd"
NONCE = bytes(range(1, 21))
OK = b"\x00\x00\x00\x02\x00\x00\x00"

_BASE = (
    wire.PROTOCOL_41 | wire.SECURE_CONNECTION | wire.PLUGIN_AUTH | wire.PLUGIN_AUTH_LENENC
    | wire.CONNECT_ATTRS | wire.MULTI_STATEMENTS
)  # fmt: skip


def greeting(plugin: str = "caching_sha2_password", *, tls: bool = False, version: str = "8.0.36") -> bytes:
    """As MySQL 8 sends it."""
    capabilities = _BASE | (wire.SSL if tls else 0)
    return b"".join(
        (
            b"\x0a" + version.encode() + b"\0", struct.pack("<I", 42), NONCE[:8], b"\0",
            struct.pack("<HBHHB", capabilities & 0xFFFF, 255, 2, capabilities >> 16, 21), bytes(10),
            NONCE[8:] + b"\0", plugin.encode() + b"\0",
        )
    )  # fmt: skip


def error(number: int, state: str = "HY000", words: str = "irgendetwas") -> bytes:
    return b"\xff" + struct.pack("<H", number) + (f"#{state}" if state else "").encode() + words.encode()


def connection(**changes: Any) -> Any:
    fields = {
        "address": [{"host": "127.0.0.1", "port": 3306}], "database": "shop", "username": "app", "password": "env:X",
        **changes,
    }  # fmt: skip
    return get("mysql").modes[Mode.CONNECTION_STRING].model_validate(fields)


# -- packets ----------------------------------------------------------------------------------------------------------


class Recording:
    """A stream that plays bytes back and then ends."""

    def __init__(self, data: bytes) -> None:
        self.budget = Budget.of(1)
        self.received = 0
        self._data = data

    async def receive(self, limit: int = 65536) -> bytes:
        data, self._data = self._data[:7], self._data[7:]
        if not data:
            raise StreamBroken("eof", received=self.received)
        self.received += len(data)
        return data

    async def send(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def local_address(self) -> str:
        return "127.0.0.1"


async def converse(data: bytes) -> str | None:
    """The stage at which a conversation with a recording ends; None when it ends well."""

    async def dial(*_: Any, **__: Any) -> Stream:
        raise StreamBroken("eof")

    secrets = {"password": SecretStr(PASSWORD)}
    session = MysqlSession(Recording(data), Access("h", 3306, "h", connection(), secrets, TlsMaterial()), dial)
    for name in session.order:
        try:
            await getattr(session, name)(Recorder())
        except StageSkipped:
            continue
        except (StageFailed, StreamBroken):
            return name
    return None


def packets_of(*payloads: bytes) -> bytes:
    return b"".join(wire.packet(number, payload) for number, payload in enumerate(payloads))


_PAYLOAD = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.builds(bytes.__add__, st.sampled_from([b"\x00", b"\x01", b"\xfb", b"\xfe", b"\xff", b"\xfe\x00\x00"]),
              st.binary(max_size=40)),
    st.just(OK),
)  # fmt: skip


@given(st.binary(max_size=300))
def test_any_first_bytes_are_an_answer_or_a_failed_greeting(data: bytes) -> None:
    assert asyncio.run(converse(data)) in ("greet", "admit", "login")


@settings(max_examples=300)
@given(st.lists(_PAYLOAD, max_size=12), st.booleans(), st.binary(max_size=5))
def test_any_packets_end_the_conversation_in_an_orderly_way(packets: list[bytes], logged_in: bool, rest: bytes) -> None:
    opening = [greeting(), OK, OK] if logged_in else [greeting()]
    asyncio.run(converse(packets_of(*opening, *packets) + rest))


@given(st.binary(max_size=200).map(lambda tail: b"\x0a8.0.36\0" + tail))
def test_a_greeting_is_read_or_malformed(payload: bytes) -> None:
    try:
        read = wire.greeting(payload)
    except wire.Malformed:
        return
    assert read.version == "8.0.36"
    assert len(read.nonce) <= 20


def test_a_recorded_greeting() -> None:
    """Sent by MariaDB 10.11."""
    payload = bytes.fromhex(
        "0a352e352e352d31302e31312e31392d4d6172696144422d302b6465623132753100050000005f426e235f393e6b00fef7080200ff8115"
        "0000000000001d00000024696648707d437440232d56006d7973716c5f6e61746976655f70617373776f726400"
    )
    read = wire.greeting(payload)
    assert read.version == "10.11.19-MariaDB-0+deb12u1"
    assert (read.plugin, read.nonce) == ("mysql_native_password", b"_Bn#_9>k$ifHp}Ct@#-V")
    assert not read.offers_tls


@given(st.text(min_size=1).filter(lambda text: "." not in text))
def test_a_quoted_name_stays_one_name(name: str) -> None:
    inside = quoted("`" + name.replace("`", "``") + "`")
    assert inside[0] == inside[-1] == "`"
    assert inside[1:-1].replace("``", "") == name.replace("`", "")


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("orders", "`orders`"),
        ("shop.Orders", "`shop`.`Orders`"),
        ("`a.b`.`c``d`", "`a.b`.`c``d`"),
        ("two words", "`two words`"),
    ],
)  # fmt: skip
def test_names_of_tables(name: str, sql: str) -> None:
    assert quoted(name) == sql


@pytest.mark.parametrize(
    ("lines", "granted"),
    [
        (["GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*1'"], False),
        (["GRANT USAGE ON *.* TO `app`@`%`", "GRANT SELECT, INSERT ON `shop`.* TO `app`@`%`"], True),
        (["GRANT INSERT, UPDATE ON `shop`.* TO `app`@`%`"], False),
        (["GRANT SELECT ON `other`.* TO `app`@`%`"], False),
        (["GRANT SELECT ON `sh%`.* TO `app`@`%`"], True),
        (["GRANT SELECT ON `sh\\_p`.* TO `app`@`%`"], False),
        (["GRANT SELECT ON `sh_p`.* TO `app`@`%`"], True),
        (["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], True),
        (["GRANT SELECT (`id`) ON `shop`.`orders` TO `app`@`%`"], True),
        (["GRANT USAGE ON *.* TO `app`@`%`", "GRANT `reader`@`%` TO `app`@`%`"], None),
    ],
)
def test_what_grants_say(lines: Sequence[str], granted: bool | None) -> None:
    assert select_granted(lines, "shop") is granted


@pytest.mark.parametrize(
    ("lines", "may"),
    [
        # MySQL 8 with a role that is active, as its manual shows it; and by partial revokes.
        (
            [
                "GRANT SELECT, DELETE, CREATE ROLE ON *.* TO `app`@`%` WITH GRANT OPTION",
                "GRANT BACKUP_ADMIN,ROLE_ADMIN ON *.* TO `app`@`%`",
                "GRANT `writer`@`%` TO `app`@`%` WITH ADMIN OPTION",
                "REVOKE DELETE ON `shop`.* FROM `app`@`%`",
            ],
            {"SELECT"},
        ),
        (["GRANT DELETE ON *.* TO `app`@`%`", "REVOKE DELETE ON `sho_`.* FROM `app`@`%`"], {"DELETE"}),
        (["GRANT ALL PRIVILEGES ON `shop`.* TO 'app'@'10.1.%'", "GRANT PROXY ON ''@'%' TO 'app'@'10.1.%'"], {"ALL"}),
        (['GRANT DROP ON "shop"."orders" TO app@"%"', "GRANT DROP ON `shop`.`orders_2` TO `app`@`%`"], {"DROP"}),
        (["GRANT EXECUTE ON PROCEDURE `shop`.`orders` TO `app`@`%`", "GRANT SELECT ON shop.* TO app"], {"SELECT"}),
        (["GRANT SELECT (`a, ``b``) ON`, `c`), INSERT (c), DELETE ON `shop`.`orders` TO `app`@`%`"], {"DELETE"}),
        (["GRANT DELETE ON `Shop`.* TO `app`@`%`"], set()),
        (["GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*1' REQUIRE SSL"], set()),
    ],
)  # fmt: skip
def test_what_grants_let_do_with_a_table(lines: Sequence[str], may: set[str]) -> None:
    granted = grants.read(lines).on("shop", "orders")
    told = {word for word in ("SELECT", "INSERT", "UPDATE", "DELETE", "DROP") if granted.may(word)}
    assert told == (may if may != {"ALL"} else {"SELECT", "INSERT", "UPDATE", "DELETE", "DROP"})
    assert granted.columns.get("SELECT", set()) == ({"a, `b`) ON", "c"} if "INSERT (c)" in lines[0] else set())


@given(st.text(max_size=60) | st.lists(st.sampled_from([*"`\"'().,*@ ", "GRANT", "ON", "TO", "shop"])).map(" ".join))
def test_any_line_is_a_grant_or_not_understood(line: str) -> None:
    with contextlib.suppress(grants.NotUnderstood):
        grants.read([line]).on("shop", "orders")


@pytest.mark.parametrize(
    ("catalogue", "lines", "told", "untold"),
    [
        # A server that speaks the protocol and fills the catalogue with anything, or with nothing.
        ({"id": {"SELECT", "INSERT", "UPDATE"}}, ["GRANT SELECT ON shop.* TO 'app'@'%'"], ("SELECT",),
         ("DELETE", "DROP", "INSERT", "UPDATE")),
        ({"id": {""}}, ["GRANT ALL ON shop.* TO 'app'@'%'"], ("DELETE", "DROP"), ("INSERT", "SELECT", "UPDATE")),
        ({"id": {""}}, None, (), ("DELETE", "DROP", "INSERT", "SELECT", "UPDATE")),
        ({"id": {"SELECT"}}, None, ("SELECT",), ("DELETE", "DROP")),
        ({"id": {"SELECT"}}, ["GRANT SELECT ON shop.* TO 'app'@'%'"], ("SELECT",), ()),
    ],
)  # fmt: skip
def test_what_a_server_tells_twice_and_differently_is_not_told(
    catalogue: dict[str, set[str]], lines: Sequence[str] | None, told: tuple[str, ...], untold: tuple[str, ...]
) -> None:
    found = privileges(catalogue, grants.read(lines).on("shop", "orders") if lines else None)
    assert (found["privileges"], found["untold"]) == (told, untold)


# -- passwords --------------------------------------------------------------------------------------------------------


def test_ed25519_fits_the_key_that_mariadb_makes_of_a_password() -> None:
    """The key is the one in MariaDB's documentation of the plugin, for the password `secret`."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY="))
    key.verify(authentication.ed25519(b"secret", NONCE), NONCE)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_ed25519_is_the_standard_one_where_both_are_defined(password: bytes, nonce: bytes) -> None:
    assert authentication.ed25519(password, nonce) == Ed25519PrivateKey.from_private_bytes(password).sign(nonce)


def test_a_password_under_the_servers_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    exchange = authentication.Exchange("caching_sha2_password", NONCE, PASSWORD * 2, key_by_wire=True)
    assert exchange.more(b"\x04") == b"\x02"
    sha1 = hashes.SHA1()
    hidden = key.decrypt(exchange.more(pem) or b"", padding.OAEP(padding.MGF1(sha1), sha1, None))
    assert bytes(one ^ NONCE[at % 20] for at, one in enumerate(hidden)).decode() == PASSWORD * 2 + "\0"


@pytest.mark.parametrize("plugin", ["caching_sha2_password", "sha256_password", "mysql_clear_password"])
def test_the_password_itself_goes_only_where_nobody_listens(plugin: str) -> None:
    assert authentication.Exchange(plugin, NONCE, PASSWORD, private=True).in_full() == PASSWORD.encode() + b"\0"
    with pytest.raises(StageFailed) as refused:
        authentication.Exchange(plugin, NONCE, PASSWORD).in_full()
    assert refused.value.evidence["needs_privacy"] is True


def test_an_exchange_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(authentication.Exchange("mysql_native_password", NONCE, PASSWORD))


# -- verdicts over recorded answers of servers that are not in the lab -------------------------------------------------


@dataclass
class Peer:
    """Says the next of its packets whenever the client has said something; keeps what it heard."""

    packets: Sequence[bytes]
    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for payload in self.packets:
            writer.write(payload)
            words = await reader.read(65536)
            self.heard.append(words)
            if not words:
                break
        writer.close()


@contextlib.asynccontextmanager
async def peer(*packets: bytes) -> AsyncIterator[Peer]:
    made = Peer(packets)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def verdict_of(made: Peer, **changes: Any) -> Verdict:
    kind = get("mysql")
    given = connection(address=[{"host": "127.0.0.1", "port": made.port}], **changes)
    secrets = {"password": SecretStr(PASSWORD)}
    target = Target("w", "s", "mysql", "dev", "local", "mysql", kind.default_port, given, lambda: secrets)
    verdict = await check(target, LocalVantage(), timeout=2)
    assert PASSWORD not in verdict.model_dump_json()
    return verdict


def answering(*packets: bytes) -> list[bytes]:
    """A greeting without TLS, then these packets."""
    return [wire.packet(0, greeting()), *(wire.packet(2, packet) for packet in packets)]


@pytest.mark.parametrize(
    ("packets", "code", "component"),
    [
        ([wire.packet(0, error(1130, ""))], "ADMIT.ALLOWLIST", "127.0.0.1"),
        (
            [wire.packet(0, error(1045, "28000", "ip not in whitelist, client ip is 8.8.8.9"))],
            "ADMIT.ALLOWLIST",
            "8.8.8.9",
        ),
        ([wire.packet(1, error(1040, "08004"))], "CAPACITY.CONNECTIONS", "127.0.0.1"),
        ([wire.packet(0, error(1053, "08S01"))], "SERVER.NOT_READY", "127.0.0.1"),
        (answering(error(3159)), "TLS.REQUIRED", "security_protocol"),
        (answering(error(3118)), "AUTH.EXPIRED_OR_LOCKED", "app"),
        (answering(error(1862)), "AUTH.EXPIRED_OR_LOCKED", "app"),
        (answering(error(3955)), "AUTH.EXPIRED_OR_LOCKED", "app"),
        (answering(error(1251, "08004")), "AUTH.METHOD_UNSUPPORTED", "app"),
        (answering(b"\xfeauthentication_ldap_sasl_client\0x"), "AUTH.METHOD_UNSUPPORTED", "authentication_ldap"),
        (answering(b"\xfeparsec\0" + bytes(32)), "AUTH.METHOD_UNSUPPORTED", "parsec"),
        (answering(b"\xfe"), "AUTH.METHOD_UNSUPPORTED", "mysql_old_password"),
        (answering(b"\x01\x04"), "AUTH.METHOD_UNSUPPORTED", "caching_sha2_password"),
        (answering(b"\xfemysql_clear_password\0"), "AUTH.METHOD_UNSUPPORTED", "mysql_clear_password"),
        (answering(OK, error(1047, "08S01")), "SERVER.NOT_READY", "127.0.0.1"),
        (answering(OK, OK, b"\xfb/etc/passwd"), "SERVER.ERROR", "127.0.0.1"),
        (answering(OK, OK, *[error(1815)] * 6), "SERVER.ERROR", "127.0.0.1"),
        (answering(b"\x77?"), "SERVER.ERROR", "127.0.0.1"),
        ([b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"], "PROTO.MISMATCH", "127.0.0.1"),
        ([b"no\n"], "PROTO.MISMATCH", "127.0.0.1"),
    ],
)  # fmt: skip
async def test_answers_of_mysql_8(packets: list[bytes], code: str, component: str) -> None:
    async with peer(*packets, b"") as made:
        verdict = await verdict_of(made)
    assert verdict.cause == code, verdict.model_dump_json(indent=1)
    assert component in verdict.component
    # Never in clear, whatever the server asks for.
    assert not any(PASSWORD.encode() in words for words in made.heard)


async def test_a_refusal_without_tls_where_tls_fails_leaves_two_causes() -> None:
    async with peer(wire.packet(0, greeting(tls=True)), wire.packet(2, error(1045, "28000")), b"") as made:
        verdict = await verdict_of(made, properties={"sslMode": "DISABLED"})
    assert verdict.cause == INCONCLUSIVE
    assert set(verdict.alternatives) == {"AUTH.BAD_CREDENTIALS", "TLS.REQUIRED"}


def test_a_confirmed_password_that_is_refused_over_tls_lacks_a_client_certificate() -> None:
    target = Target("w", "s", "mysql", "dev", "local", "mysql", 3306, connection())
    seen = {"mysql_error": 1045, "over_tls": True}

    def cause(**evidence: Any) -> str:
        stage = Stage(name="login", status=Status.FAILED, started_at="", elapsed_ms=1, evidence={**seen, **evidence})
        return explain(target, stage, None).code

    assert cause() == "AUTH.BAD_CREDENTIALS"
    assert cause(password_proved=True) == "TLS.CLIENT_CERT"


@pytest.mark.parametrize(
    ("stage", "evidence", "code"),
    [
        ("privilege", {"mysql_error": 1045, "object": "v"}, "PRIV.OBJECT_DENIED"),
        ("privilege", {"mysql_error": 1103, "object": "t"}, "TARGET.OBJECT_MISSING"),
        ("target", {"mysql_error": 1102}, "CONFIG.BAD_VALUE"),
        ("privilege", {"broken": "silent", "mute": True, "silent_ms": 4500.0, "object": "t"}, "PROBE.DEADLINE"),
        ("target", {"broken": "silent", "mute": True, "silent_ms": 4500.0}, "PEER.MUTE"),
    ],
)
def test_after_the_login_an_answer_means_something_else(stage: str, evidence: dict[str, Any], code: str) -> None:
    target = Target("w", "s", "mysql", "dev", "local", "mysql", 3306, connection())
    failed = Stage(name=stage, status=Status.FAILED, started_at="", elapsed_ms=1, evidence=evidence)
    assert explain(target, failed, None).code == code


@pytest.mark.parametrize(
    ("stage", "evidence", "code"),
    [
        ("target", {"mysql_error": 1044, "there": "yes"}, "TARGET.NO_CONNECT"),
        ("target", {"mysql_error": 1044}, INCONCLUSIVE),
        ("privilege", {"mysql_error": 1142, "object": "t"}, "PRIV.OBJECT_DENIED"),
        ("privilege", {"nothing_readable": True}, "PRIV.OBJECT_DENIED"),
    ],
)
def test_an_account_that_the_server_did_not_name_has_to_be_looked_for(
    stage: str, evidence: dict[str, Any], code: str
) -> None:
    target = Target("w", "s", "mysql", "dev", "local", "mysql", 3306, connection())
    failed = Stage(name=stage, status=Status.FAILED, started_at="", elapsed_ms=1, evidence=evidence)
    unnamed, named = (explain(target, replace(failed, evidence={**evidence, **more}), None) for more in ({}, _NAMED))
    assert unnamed.code == named.code == code
    assert "SELECT user, host FROM mysql.user" in unnamed.remedy
    assert "'app'@'10.%'" in named.remedy


_NAMED = {"account": "'app'@'10.%'"}


async def test_a_key_from_the_wire_only_where_it_is_allowed() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    packets = answering(b"\x01\x04", b"\x01" + pem, OK, error(1049, "42000"))
    async with peer(*packets) as made:
        verdict = await verdict_of(made, properties={"allowPublicKeyRetrieval": "true"})
    assert verdict.cause == "TARGET.MISSING"
    assert len(made.heard[2]) == 4 + 256


async def test_nothing_about_the_login_leaves_before_tls() -> None:
    async with peer(wire.packet(0, greeting(tls=True)), b"no TLS here", b"") as made:
        verdict = await verdict_of(made, properties={"sslMode": "REQUIRED"})
    assert verdict.state == "ConfigError"
    assert (verdict.cause or "").startswith("TLS.")
    first = made.heard[0]
    assert int.from_bytes(first[:3], "little") == 32
    assert all(b"app" not in words for words in made.heard)


async def test_bytes_stuffed_behind_the_greeting_are_not_taken_for_tls() -> None:
    stuffed = wire.packet(0, greeting(tls=True)) + wire.packet(2, OK)
    async with peer(stuffed, b"") as made:
        verdict = await verdict_of(made, properties={"sslMode": "REQUIRED"})
    assert verdict.cause == "SERVER.ERROR"
    assert not any(made.heard)


# -- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", PROTOCOL.answers, ids=lambda answer: answer.code)
def test_every_answer_names_a_cause_of_the_catalogue(answer: Any) -> None:
    catalogue = causes.catalogue()
    assert answer.code in catalogue
    assert (answer.code == INCONCLUSIVE) == bool(answer.alternatives)
    assert all(code in catalogue for code in answer.alternatives)


@pytest.mark.parametrize("on_socket", [True, False])
def test_an_account_of_the_operating_system_has_no_password(on_socket: bool) -> None:
    """ER_ACCESS_DENIED_NO_PASSWORD_ERROR of auth_socket, which believes the system's user name alone."""
    seen = {"mysql_error": 1698, "on_socket": on_socket, "method": "unix_socket", "server_said": "error 1698"}
    target = Target("w", "s", "mysql", "dev", "local", "mysql", 3306, connection())
    finding = explain(target, failed("login", seen), None)
    assert finding.code == ("AUTH.BAD_CREDENTIALS" if on_socket else "AUTH.METHOD_UNSUPPORTED")


# -- statements to copy -----------------------------------------------------------------------------------------------


def _remedy(stage: str, username: str = "app", database: str = "shopB", **evidence: Any) -> str:
    target = Target("w", "s", "mysql", "dev", "l", "mysql", 3306, connection(username=username, database=database))
    return explain(target, failed(stage, evidence), None).remedy


def test_an_account_is_granted_to_as_the_server_knows_it() -> None:
    """`GRANT SELECT ON hidden TO app` would make app@'%' on a server without NO_AUTO_CREATE_USER, with no password."""
    seen = {"mysql_error": 1142, "object": "hidden", "table_sql": table_in("hidden", "shopB")}
    known = account("app@10.93.1.%")
    assert _remedy("privilege", account=known, **seen).startswith("GRANT SELECT ON shopB.hidden TO 'app'@'10.93.1.%';")
    unknown = _remedy("privilege", **seen)
    assert "SELECT user, host FROM mysql.user WHERE user = 'app'" in unknown
    assert "GRANT" not in unknown


@pytest.mark.parametrize("number", [1130, 1251, 1820, 1862, 3118, 4151])
def test_before_the_login_no_statement_names_an_account_without_its_host(number: int) -> None:
    told = _remedy("login", username="o'neil", mysql_error=number, server_said="no")
    assert "o'neil" not in told
    assert "'o''neil'" in told
    assert not {"CREATE", "GRANT"} & set(told.split())


def test_names_are_quoted_for_whoever_copies_them() -> None:
    assert account("o'neil@%") == "'o''neil'@'%'"
    assert account("'root'@'%'") == "'root'@'%'"  # as Doris and StarRocks say it
    assert account("a@b@10.1.%") == "'a@b'@'10.1.%'"
    assert table_in("t-1", "order") == "`order`.`t-1`"
    assert table_in("vault.gold", "shop") == "vault.gold"
    assert "GRANT SELECT ON `web-shop`.* TO 'a'@'h'" in _remedy(
        "target", database="web-shop", mysql_error=1044, there="yes", account="'a'@'h'"
    )


def test_a_server_that_greets_late_is_one_of_the_things_to_look_at() -> None:
    """MariaDB looks a client's name up before it greets: 5 s where no resolver answers it."""
    mute = {"broken": "silent", "mute": True, "silent_ms": 4500.0, "received_bytes": 0}
    assert "skip_name_resolve" in _remedy("greet", **mute)
    assert "--timeout" in _remedy("greet", **mute)
    assert "skip_name_resolve" not in _remedy("login", **mute)
