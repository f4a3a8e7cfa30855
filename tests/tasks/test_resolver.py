"""Name resolution as the system does it: against a real name server, and against files in every state."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.budget import Budget
from tasks.resolver import ResolverFiles, SystemResolver, _in_hosts, _sources
from tasks.vantages import Resolution
from tests.stopwatch import Stopwatch

Answerer = Callable[[str, str, dns.message.Message], "dns.message.Message | None"]

needs_port_53 = pytest.mark.skipif(os.geteuid() != 0, reason="a name server listens on port 53")


@contextlib.asynccontextmanager
async def name_server(address: str, answerer: Answerer) -> AsyncIterator[list[str]]:
    """A name server on an address of the loopback, UDP and TCP; gives what it is asked."""
    asked: list[str] = []

    def reply(wire: bytes, over: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        asked.append(f"{over} {name}")
        answer = answerer(name, over, query)
        return answer.to_wire() if answer is not None else None

    class Udp(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            if (said := reply(data, "udp")) is not None:
                self.transport.sendto(said, addr)  # type: ignore[attr-defined]

    async def tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        if (said := reply(query, "tcp")) is not None:
            writer.write(len(said).to_bytes(2, "big") + said)
        writer.close()

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Udp, local_addr=(address, 53))
    server = await asyncio.start_server(tcp, address, 53)
    try:
        yield asked
    finally:
        transport.close()
        server.close()


def answer(query: dns.message.Message, *records: str, rcode: str = "NOERROR") -> dns.message.Message:
    """A response with those of these records (``TYPE DATA``) that were asked for; aliases always."""
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.from_text(rcode))
    question = query.question[0]
    for record in records:
        kind, data = record.split()
        if kind in (dns.rdatatype.to_text(question.rdtype), "CNAME"):
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, data))
    return response


async def resolve(
    tmp_path: Path,
    host: str,
    *,
    resolv: str = "",
    hosts: str = "",
    nsswitch: str = "hosts: files dns",
    seconds: float = 2,
) -> Resolution:
    files = ResolverFiles(tmp_path / "hosts", tmp_path / "nsswitch.conf", tmp_path / "resolv.conf")
    files.hosts.write_text(hosts)
    files.nsswitch.write_text(nsswitch)
    files.resolv_conf.write_text(resolv)
    return await SystemResolver(files).resolve(host, Budget.of(seconds))


@needs_port_53
async def test_addresses_of_both_families_and_the_alias_behind_them(tmp_path: Path) -> None:
    def known(name: str, _: str, query: dns.message.Message) -> dns.message.Message:
        if name == "alias.test":
            return answer(query, "CNAME real.test.")
        return answer(query, "A 10.1.1.1", "AAAA fd00::1")

    async with name_server("127.0.53.1", known):
        found = await resolve(tmp_path, "alias.test", resolv="nameserver 127.0.53.1\n")
    assert sorted(found.addresses) == ["10.1.1.1", "fd00::1"]
    assert found.evidence["canonical_name"] == "real.test"
    assert found.evidence["rcode"] == "NOERROR"


@needs_port_53
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL", "REFUSED"])
async def test_rcodes_are_kept_apart(tmp_path: Path, rcode: str) -> None:
    async with name_server("127.0.53.2", lambda _n, _o, query: answer(query, rcode=rcode)):
        found = await resolve(tmp_path, "db.test", resolv="nameserver 127.0.53.2\n")
    assert found.addresses == ()
    assert found.evidence["rcode"] == rcode


@needs_port_53
@pytest.mark.parametrize(("of_a", "rcode"), [("SERVFAIL", "SERVFAIL"), ("NXDOMAIN", "NOERROR"), ("drop", "TIMEOUT")])
async def test_a_name_is_without_address_only_when_both_kinds_were_answered(
    tmp_path: Path, of_a: str, rcode: str
) -> None:
    def known(_n: str, _o: str, query: dns.message.Message) -> dns.message.Message | None:
        if query.question[0].rdtype != dns.rdatatype.A:
            return answer(query)
        return None if of_a == "drop" else answer(query, rcode=of_a)

    async with name_server("127.0.53.10", known):
        found = await resolve(tmp_path, "db.test.", resolv="nameserver 127.0.53.10\n", seconds=0.6)
    assert found.evidence["rcode"] == rcode


@needs_port_53
async def test_silence_about_a_searched_name_is_told_of_that_name(tmp_path: Path) -> None:
    def known(name: str, _: str, query: dns.message.Message) -> dns.message.Message | None:
        return None if name == "db.test.dead.zone" else answer(query, "A 10.1.1.9")

    resolv = "nameserver 127.0.53.12\nsearch dead.zone\noptions ndots:5\n"
    async with name_server("127.0.53.12", known):
        found = await resolve(tmp_path, "db.test", resolv=resolv, seconds=0.6)
    assert found.evidence["rcode"] == "TIMEOUT"
    assert found.evidence["searched"] == "db.test.dead.zone"
    assert found.evidence["other_names_answered"] is True


@needs_port_53
async def test_a_server_that_refers_to_others_has_not_answered(tmp_path: Path) -> None:
    def refers(_n: str, _o: str, query: dns.message.Message) -> dns.message.Message:
        response = answer(query)
        response.authority.append(dns.rrset.from_text("test.", 60, "IN", "NS", "ns.test."))
        return response

    async with name_server("127.0.53.11", refers):
        found = await resolve(tmp_path, "db.test.", resolv="nameserver 127.0.53.11\n")
    assert found.evidence["rcode"] == "REFERRAL"


@needs_port_53
async def test_truncated_answers_are_asked_for_over_tcp(tmp_path: Path) -> None:
    def truncating(_: str, over: str, query: dns.message.Message) -> dns.message.Message:
        if over == "tcp":
            return answer(query, "A 10.1.1.2")
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return response

    async with name_server("127.0.53.3", truncating) as asked:
        found = await resolve(tmp_path, "large.test", resolv="nameserver 127.0.53.3\n")
    assert found.addresses == ("10.1.1.2",)
    assert "tcp large.test" in asked


@needs_port_53
async def test_an_answer_too_long_for_udp_that_tcp_does_not_give_is_no_silence(tmp_path: Path) -> None:
    def only_udp(_: str, over: str, query: dns.message.Message) -> dns.message.Message | None:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return response if over == "udp" else None

    async with name_server("127.0.53.9", only_udp):
        found = await resolve(tmp_path, "large.test", resolv="nameserver 127.0.53.9\n", seconds=1)
    assert found.evidence["rcode"] == "TIMEOUT"
    assert found.evidence["truncated"] is True
    assert "TRUNCATED" in found.evidence["answers"][0]


@needs_port_53
async def test_search_list_and_ndots(tmp_path: Path) -> None:
    def only_searched(name: str, _: str, query: dns.message.Message) -> dns.message.Message:
        return answer(query, "A 10.1.1.3") if name.endswith(".corp.test") else answer(query, rcode="NXDOMAIN")

    async with name_server("127.0.53.4", only_searched) as asked:
        resolv = "nameserver 127.0.53.4\nsearch a.test corp.test\n"
        assert (await resolve(tmp_path, "db", resolv=resolv)).evidence["asked"] == ["db.a.test", "db.corp.test"]
        dotted = await resolve(tmp_path, "db.x", resolv=resolv)
        assert dotted.evidence["asked"] == ["db.x", "db.x.a.test", "db.x.corp.test"]
        ndots = await resolve(tmp_path, "db.x", resolv=resolv + "options ndots:2\n")
        assert ndots.evidence["asked"] == ["db.x.a.test", "db.x.corp.test"]
        asked.clear()
        absolute = await resolve(tmp_path, "db.", resolv=resolv)
        assert absolute.addresses == ()
        assert set(asked) == {"udp db"}


@needs_port_53
async def test_a_silent_server_is_passed_over_and_told(tmp_path: Path) -> None:
    async with (
        name_server("127.0.53.5", lambda *_: None),
        name_server("127.0.53.6", lambda _n, _o, query: answer(query, "A 10.1.1.4")),
    ):
        found = await resolve(tmp_path, "db.test", resolv="nameserver 127.0.53.5\nnameserver 127.0.53.6\n")
    assert found.addresses == ("10.1.1.4",)
    assert any(line.startswith("127.0.53.5 A db.test TIMEOUT") for line in found.evidence["answers"])


@needs_port_53
async def test_what_is_no_answer_to_the_question_is_passed_over(tmp_path: Path) -> None:
    class Confused(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            query = dns.message.from_wire(data)
            other = dns.message.from_wire(data)
            other.id ^= 1
            for wire in (b"garbage", answer(other, rcode="NXDOMAIN").to_wire(), answer(query, "A 10.1.1.5").to_wire()):
                self.transport.sendto(wire, addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Confused, local_addr=("127.0.53.9", 53))
    try:
        found = await resolve(tmp_path, "db.test", resolv="nameserver 127.0.53.9\n")
    finally:
        transport.close()
    assert found.addresses == ("10.1.1.5",)


@needs_port_53
async def test_silence_is_told_within_the_share_of_a_short_check(tmp_path: Path) -> None:
    with Stopwatch() as watch:
        found = await resolve(tmp_path, "db.test", resolv="nameserver 127.0.53.8\n", seconds=0.7)
    assert found.evidence["other_names_answered"] is False
    watch.within(0.95)


@needs_port_53
async def test_silence_for_one_name_is_told_from_silence_for_all(tmp_path: Path) -> None:
    def silent_for_db(name: str, _: str, query: dns.message.Message) -> dns.message.Message | None:
        return None if name == "db.test" else answer(query)

    async with name_server("127.0.53.7", silent_for_db):
        found = await resolve(tmp_path, "db.test", resolv="nameserver 127.0.53.7\n", seconds=1)
    assert (found.evidence["rcode"], found.evidence["other_names_answered"]) == ("TIMEOUT", True)
    found = await resolve(tmp_path, "db.test", resolv="nameserver 127.0.53.8\n", seconds=1)
    assert (found.evidence["rcode"], found.evidence["other_names_answered"]) == ("TIMEOUT", False)


@needs_port_53
async def test_aliases_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    other = {"a.test": "b.test.", "b.test": "a.test."}
    async with name_server("127.0.53.9", lambda name, _o, query: answer(query, f"CNAME {other[name]}")):
        found = await resolve(tmp_path, "a.test", resolv="nameserver 127.0.53.9\n")
    assert found.addresses == ()
    assert found.evidence["cname_loop"] is True


async def test_the_hosts_file_comes_first_and_asks_nobody(tmp_path: Path) -> None:
    hosts = "10.1.1.5 db.test db # the database\nfd00::5 DB.test\n10.1.1.5 db.test\n"
    found = await resolve(tmp_path, "Db.Test", hosts=hosts, resolv="nameserver 127.0.53.99\n")
    assert found.addresses == ("10.1.1.5", "fd00::5")
    assert found.evidence["from"] == "hosts"


async def test_nsswitch_decides_who_is_asked(tmp_path: Path) -> None:
    nobody = await resolve(tmp_path, "db.test", nsswitch="hosts: files", resolv="nameserver 127.0.53.99\n")
    assert nobody.evidence["rcode"] == "NXDOMAIN"
    later = await resolve(
        tmp_path,
        "db",
        hosts="10.1.1.6 db\n",
        nsswitch="hosts: dns files",
        resolv="nameserver 127.0.53.99\n",
        seconds=0.5,
    )
    assert later.addresses == ("10.1.1.6",)


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "[fd00::1]", "fe80::1%lo"])
async def test_numbers_are_no_names(tmp_path: Path, host: str) -> None:
    found = await resolve(tmp_path, host)
    assert found.evidence == {"from": "literal"}
    assert found.addresses == (host.strip("[]"),)


async def test_localhost_needs_no_server(tmp_path: Path) -> None:
    found = await resolve(tmp_path, "localhost")
    assert set(found.addresses) == {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["x" * 64 + ".test", "a..b", ".".join(["abcdefgh"] * 40)])
async def test_impossible_names_do_not_exist(tmp_path: Path, host: str) -> None:
    found = await resolve(tmp_path, host, resolv="nameserver 127.0.53.99\n")
    assert found.evidence["rcode"] == "NXDOMAIN"


@needs_port_53
async def test_those_who_ask_together_share_one_question(tmp_path: Path) -> None:
    files = ResolverFiles(tmp_path / "hosts", tmp_path / "nsswitch.conf", tmp_path / "resolv.conf")
    files.resolv_conf.write_text("nameserver 127.0.53.10\n")
    async with name_server("127.0.53.10", lambda _n, _o, query: answer(query, "A 10.1.1.7")) as asked:
        resolver = SystemResolver(files)
        await asyncio.gather(*(resolver.resolve("db.test", Budget.of(2)) for _ in range(50)))
    assert len(asked) == 2, "one question for each family"


@given(st.text(max_size=300))
def test_any_file_can_be_read(junk: str) -> None:
    assert isinstance(_in_hosts(junk, "db"), list)
    assert isinstance(_sources(junk), list)


_LABEL = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


@given(
    address=st.ip_addresses().map(str),
    names=st.lists(_LABEL, min_size=1, max_size=4),
    blank=st.sampled_from([" ", "\t", "   "]),
    comment=st.text(alphabet="abc #", max_size=8),
)
def test_a_line_of_the_hosts_file_names_its_address(address: str, names: list[str], blank: str, comment: str) -> None:
    text = f"# head\n{address}{blank}{blank.join(names)} #{comment}\n"
    for name in names:
        assert _in_hosts(text, name.upper() + ".") == [address]
    assert _in_hosts(text, "no-such-name-here") == []


async def test_missing_files_mean_the_defaults(tmp_path: Path) -> None:
    texts = await ResolverFiles(*(tmp_path / "absent",) * 3).read()
    assert _sources(texts.nsswitch) == ["files", "dns"]
    assert _in_hosts(texts.hosts, "db") == []


def test_services_of_nsswitch() -> None:
    text = "passwd: files\n hosts:  files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns # x\n"
    assert _sources(text) == ["files", "mdns4_minimal", "dns"]
