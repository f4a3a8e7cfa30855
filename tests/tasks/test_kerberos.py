"""krb5.conf and keytab files as they come."""

from __future__ import annotations

import base64
import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.kerberos import keytab
from tasks.kerberos.configuration import Configuration

CONF = """
# of the whole company
[libdefaults]
    default_realm = EXAMPLE.COM
    dns_lookup_kdc = false ; no comment

[realms]
    EXAMPLE.COM = {
        kdc = kdc1.example.com
        kdc = tcp/kdc2.example.com:750
        kdc = [2001:db8::1]:88
        auth_to_local = {
            RULE = nothing
        }
        admin_server = kdc1.example.com
    }
    OTHER.ORG = {
    }

[domain_realm]
    .example.com = EXAMPLE.COM
    .Lab.example.com = OTHER.ORG
    db.example.com = OTHER.ORG
"""


def test_a_configuration_tells_realms_and_their_kdcs() -> None:
    read = Configuration.parse(CONF)
    assert read.default_realm == "EXAMPLE.COM"
    assert read.kdcs["EXAMPLE.COM"] == (("kdc1.example.com", 88), ("kdc2.example.com", 750), ("2001:db8::1", 88))
    assert set(read.kdcs) == {"EXAMPLE.COM"}


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("DB.example.com", "OTHER.ORG"),
        ("web.example.com", "EXAMPLE.COM"),
        ("a.lab.example.com.", "OTHER.ORG"),
        ("elsewhere.net", "EXAMPLE.COM"),
    ],
)
def test_the_nearest_domain_gives_the_realm(host: str, realm: str) -> None:
    assert Configuration.parse(CONF).realm_of(host) == realm


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[realms]\nX = {\n kdc = a\n", "X is left open"),
        ("[realms]\nX = {\n[libdefaults]\n", "line 3: a brace is left open"),
        ("[realms]\n}\n", "line 2: a brace is closed"),
        ("default_realm = X\n", "line 1: a setting"),
        ("[realms]\nX = {\n kdc = a:b:c\n}\n", "no host of a KDC"),
    ],
)
def test_a_malformed_configuration_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Configuration.parse(text)


@given(st.text())
def test_no_text_breaks_the_reader_of_configurations(text: str) -> None:
    with contextlib.suppress(ValueError):
        Configuration.parse(text)


def _entry(principal: str, realm: str, version: int, kind: int, contents: bytes, *, wide: bool) -> bytes:
    parts = principal.split("/")
    data = struct.pack("!H", len(parts))
    for text in (realm, *parts):
        data += struct.pack("!H", len(text.encode())) + text.encode()
    data += struct.pack("!IIBHH", 1, 0, version & 0xFF, kind, len(contents)) + contents
    data += struct.pack("!I", version) if wide else b""
    return struct.pack("!i", len(data)) + data


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/@"), min_size=1, max_size=12)


@given(
    name=_NAMES, realm=_NAMES, version=st.integers(1, 70_000), kind=st.sampled_from([17, 18, 23]),
    contents=st.binary(max_size=32), hole=st.integers(0, 20),
)  # fmt: skip
def test_what_is_written_is_read_holes_and_wide_versions_included(
    name: str, realm: str, version: int, kind: int, contents: bytes, hole: int
) -> None:
    empty = struct.pack("!i", -hole) + bytes(hole) if hole else b""
    data = b"\x05\x02" + empty + _entry(name, realm, version, kind, contents, wide=True)
    (key,) = keytab.read("data:;base64," + base64.b64encode(data).decode())
    assert (key.principal, key.version, key.kind, key.contents) == (f"{name}@{realm}", version, kind, contents)
    assert contents.hex() not in repr(key) or len(contents) < 2


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_keytabs(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        keytab.read(base64.b64encode(b"\x05\x02" + data).decode())


def test_a_newer_key_comes_first_and_another_realm_is_another_principal() -> None:
    data = b"\x05\x02" + b"".join(
        _entry("app", realm, version, 18, b"k" * 32, wide=False) for realm, version in (("A", 1), ("A", 3), ("B", 9))
    )
    keys = keytab.read(base64.b64encode(data).decode())
    assert [key.version for key in keytab.identity(keys, "app", "A").keys] == [3, 1]
    assert keytab.identity(keys, "app@B", "A").versions == [9]
    assert not keytab.identity(keys, "app@C", "A").keys
