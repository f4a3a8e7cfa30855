"""Kerberos: a real KDC, and PostgreSQL that takes its tickets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.realm import REALM, AheadKdc, Kdc
from tests.lab.servers import PostgreSQL

CONFIG = "ConfigError"
HOST = "krb.lab.test"


class World:
    """A realm, and a server of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.kdc = lab.server(Kdc)
        for name in ("app", f"postgres/{HOST}", "old", "locked", "expired"):
            self.kdc.principal(name)
        server_keys = self.kdc.keytab("server", f"postgres/{HOST}")
        self.server: PostgreSQL = lab.postgresql(
            own="kerberos",
            hba=("host all all all gss include_realm=0",),
            settings={"krb_server_keyfile": str(server_keys)},
        )
        self.app = self.kdc.keytab("app", "app")
        lab.name("krb", self.server.v4)

    def file(self, name: str, text: str) -> str:
        """A file with a text, as a reference."""
        path = Path(self.kdc.folder) / name
        path.write_text(text)
        return f"file:{path}"

    def entry(self, **changes: Any) -> dict[str, Any]:
        given = {
            "address": [{"host": HOST, "port": 5432}],
            "database": "shop",
            "username": "app",
            "kerberos_file_conf": f"file:{self.kdc.folder}/krb5.conf",
            "kerberos_file_keytab": f"file:{self.app}",
            **changes,
        }
        return {key: value for key, value in given.items() if value is not None}


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    return World(lab)


def test_good(world: World, expect: Expectation) -> None:
    verdict = world.lab.check("postgresql", world.entry())
    expect(verdict, "good, by a keytab", code=None, state="Connectable", within=3)
    login = next(stage.evidence for stage in verdict.stages if stage.name == "login")
    assert login["principal"] == f"app@{REALM}"
    assert login["service_principal"] == f"postgres/{HOST}@{REALM}"


def test_server_asks_for_kerberos_and_none_is_configured(world: World, expect: Expectation) -> None:
    entry = world.entry(kerberos_file_conf=None, kerberos_file_keytab=None, password=world.lab.password)
    verdict = world.lab.check("postgresql", entry)
    expect(
        verdict, "Kerberos not configured", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, component="GSSAPI", within=2
    )


def test_no_kdc_answers(world: World, expect: Expectation) -> None:
    silent = world.lab.dead.BLACKHOLE
    conf = world.file("silent.conf", world.kdc.configuration(silent))
    verdict = world.lab.check("postgresql", world.entry(kerberos_file_conf=conf), timeout=3)
    expect(
        verdict, "KDC silent", code="AUTH.KERBEROS_KDC", state=CONFIG, component=f"{silent}:88", within=3.5,
    )  # fmt: skip


def test_kdc_port_closed(world: World, expect: Expectation) -> None:
    closed = world.lab.host().v4
    conf = world.file("closed.conf", world.kdc.configuration(closed))
    verdict = world.lab.check("postgresql", world.entry(kerberos_file_conf=conf))
    expect(verdict, "KDC port closed", code="AUTH.KERBEROS_KDC", state=CONFIG, component=f"{closed}:88", within=2)


def test_kdc_over_tcp_alone(world: World) -> None:
    """A KDC whose UDP port is filtered still serves; the silence is noted, because other clients ask UDP first."""
    with world.lab.filter("drop", world.kdc.v4, port=88, protocol="udp"):
        verdict = world.lab.check("postgresql", world.entry())
    assert verdict.connectable
    login = next(stage for stage in verdict.stages if stage.name == "login")
    assert login.evidence["kdc_silent"] == [f"udp {world.kdc.v4}:88"]
    assert login.status.value == "warned"


def test_clock_skew(world: World, expect: Expectation) -> None:
    """The KDC's clock runs ahead: it refuses our encrypted time."""
    ahead = world.lab.server(AheadKdc)
    ahead.principal("app")
    conf = world.file("ahead.conf", ahead.configuration())
    keytab = ahead.keytab("app", "app")
    entry = world.entry(kerberos_file_conf=conf, kerberos_file_keytab=f"file:{keytab}")
    verdict = world.lab.check("postgresql", entry)
    expect(verdict, "KDC's clock an hour ahead", code="AUTH.KERBEROS_CLOCK", state=CONFIG, within=2)
    assert "3600" in verdict.message or "3599" in verdict.message or "3601" in verdict.message


def test_principal_unknown(world: World, expect: Expectation) -> None:
    world.kdc.principal("passing")
    keytab = world.kdc.keytab("passing", "passing")
    world.kdc.admin("delprinc -force passing")
    entry = world.entry(kerberos_file_keytab=f"file:{keytab}", principal="passing")
    verdict = world.lab.check("postgresql", entry)
    expect(
        verdict, "client principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"passing@{REALM}", within=2,
    )  # fmt: skip


def test_service_principal_unknown(world: World, expect: Expectation) -> None:
    alias = world.lab.name("krb-alias", world.server.v4)
    verdict = world.lab.check("postgresql", world.entry(address=[{"host": alias, "port": 5432}]))
    expect(
        verdict, "service principal unknown",
        code="AUTH.KERBEROS_PRINCIPAL", state=CONFIG, component=f"postgres/{alias}@{REALM}", within=2,
    )  # fmt: skip


def test_keytab_of_an_older_key(world: World, expect: Expectation) -> None:
    keytab = world.kdc.keytab("old", "old")
    world.kdc.keytab("newer", "old", fresh=True)
    verdict = world.lab.check("postgresql", world.entry(kerberos_file_keytab=f"file:{keytab}", principal="old"))
    expect(
        verdict, "keytab outdated",
        code="AUTH.KERBEROS_KEYTAB", state=CONFIG, component="kerberos_file_keytab", within=2,
    )  # fmt: skip
    assert "versions 1" in verdict.message


def test_keytab_of_another_principal(world: World, expect: Expectation) -> None:
    verdict = world.lab.check("postgresql", world.entry(principal="somebody"))
    expect(verdict, "not in the keytab", code="AUTH.KERBEROS_KEYTAB", state=CONFIG, within=2)
    assert f"app@{REALM}" in verdict.message


def test_no_keytab(world: World, expect: Expectation) -> None:
    verdict = world.lab.check(
        "postgresql", world.entry(kerberos_file_keytab=world.file("text.keytab", "no keytab at all"))
    )
    expect(verdict, "no keytab", code="AUTH.KERBEROS_KEYTAB", state=CONFIG, within=2)


def test_principal_locked(world: World, expect: Expectation) -> None:
    keytab = world.kdc.keytab("locked", "locked")
    world.kdc.admin("modprinc -allow_tix locked")
    verdict = world.lab.check("postgresql", world.entry(kerberos_file_keytab=f"file:{keytab}", principal="locked"))
    expect(
        verdict, "principal locked", code="AUTH.EXPIRED_OR_LOCKED", state=CONFIG, component=f"locked@{REALM}", within=2
    )


def test_malformed_krb5_conf(world: World, expect: Expectation) -> None:
    conf = world.file("broken.conf", "[realms]\nLAB.TEST = {\n kdc = x\n")
    verdict = world.lab.check("postgresql", world.entry(kerberos_file_conf=conf))
    expect(
        verdict, "krb5.conf malformed", code="CONFIG.BAD_VALUE", state=CONFIG, component="kerberos_file_conf", within=2
    )


def test_server_keytab_outdated(world: World, expect: Expectation) -> None:
    """The service got a new key, and the server still has the old one."""
    host = "krb-rotated.lab.test"
    world.kdc.principal(f"postgres/{host}")
    keys = world.kdc.keytab("rotated", f"postgres/{host}")
    server = world.lab.postgresql(
        own="kerberos-rotated",
        hba=("host all all all gss include_realm=0",),
        settings={"krb_server_keyfile": str(keys)},
    )
    world.lab.name("krb-rotated", server.v4)
    world.kdc.keytab("rotated-new", f"postgres/{host}", fresh=True)
    verdict = world.lab.check("postgresql", world.entry(address=[{"host": host, "port": 5432}]))
    expect(
        verdict, "server's keytab outdated",
        code="AUTH.KERBEROS_KEYTAB", state=CONFIG, component=f"postgres/{host}@{REALM}", within=2,
    )  # fmt: skip
