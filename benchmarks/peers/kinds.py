"""Twenty ways in which a PostgreSQL source fails, made in the lab, and what a tool has to name in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from tests.lab.lab import Lab
from tests.lab.servers import PostgreSQL


@dataclass(frozen=True)
class Source:
    """What a user types in: the same for every tool.

    Attributes:
        vantage: The place in the lab from which the tool runs.
        sslmode: libpq's word; empty for the tool's default.
        truststore: CA file for the modes that verify.
    """

    host: str
    username: str = "app"
    password: str = ""
    database: str = "shop"
    port: int = 5432
    vantage: str = "client"
    sslmode: str = ""
    truststore: str = ""


@dataclass(frozen=True)
class Kind:
    """One fault.

    Attributes:
        codes: The causes that name it; a verdict of two or more codes is honest when it contains one of them.
        superset: The error types of Superset that name it.
        lie: The error types of Superset that state something else.
    """

    name: str
    codes: frozenset[str]
    make: Callable[[Lab], AbstractContextManager[Source]]
    superset: frozenset[str] = frozenset()


class Servers:
    """The servers that the faults share."""

    _made: dict[str, PostgreSQL]

    @staticmethod
    def ordinary(lab: Lab) -> PostgreSQL:
        """One with accounts and databases of every sort; without TLS."""
        fresh = lab.postgresql(own="peers", hba=_HBA)
        if not fresh.sql("SELECT 1 FROM pg_roles WHERE rolname = 'nobody'"):
            fresh.sql(
                f"CREATE ROLE nobody LOGIN PASSWORD '{lab.password}'",
                f"CREATE ROLE outsider LOGIN PASSWORD '{lab.password}'",
                f"CREATE ROLE expired LOGIN PASSWORD '{lab.password}' VALID UNTIL '2020-01-01'",
                f"CREATE ROLE full LOGIN PASSWORD '{lab.password}' CONNECTION LIMIT 0",
                "CREATE DATABASE vault",
                "REVOKE CONNECT ON DATABASE vault FROM PUBLIC",
            )
        return fresh

    @staticmethod
    def encrypted(lab: Lab) -> PostgreSQL:
        """One that takes TLS only."""
        return lab.postgresql(
            own="peers-tls", hba=("hostssl all all all scram-sha-256",), tls=lab.ca.issue("other.lab.test")
        )


#: `outsider` stands in no line.
_HBA = ("host all app,nobody,expired,full all scram-sha-256",)


def _of(change: Callable[[Lab, Source], Source]) -> Callable[[Lab], AbstractContextManager[Source]]:
    @contextmanager
    def make(lab: Lab) -> Iterator[Source]:
        yield change(lab, Source(Servers.ordinary(lab).v4, password=lab.password))

    return make


def _plain(**changes: str | int) -> Callable[[Lab], AbstractContextManager[Source]]:
    return _of(lambda _lab, source: replace(source, **changes))  # type: ignore[arg-type]


def _encrypted(sslmode: str) -> Callable[[Lab], AbstractContextManager[Source]]:
    def change(lab: Lab, source: Source) -> Source:
        name = lab.name("db", Servers.encrypted(lab).v4)
        truststore = str(lab.ca.bundle) if sslmode == "verify-full" else ""
        return replace(source, host=name, sslmode=sslmode, truststore=truststore)

    return _of(change)


def _filtered(action: str) -> Callable[[Lab], AbstractContextManager[Source]]:
    @contextmanager
    def make(lab: Lab) -> Iterator[Source]:
        server = Servers.ordinary(lab)
        with lab.filter(action, server.v4, 5432):
            yield Source(server.v4, password=lab.password)

    return make


def _listener(script: str) -> Callable[[Lab], AbstractContextManager[Source]]:
    @contextmanager
    def make(lab: Lab) -> Iterator[Source]:
        with lab.listener(script, 5432) as listener:
            yield Source(listener.host, password=lab.password)

    return make


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


KINDS: tuple[Kind, ...] = (
    Kind(
        "wrong password",
        _codes("AUTH.BAD_CREDENTIALS"),
        _plain(password="wrong"),
        _codes("CONNECTION_INVALID_PASSWORD_ERROR"),
    ),
    Kind(
        "name does not exist",
        _codes("DNS.NXDOMAIN"),
        _plain(host="nope.lab.test"),
        _codes("CONNECTION_INVALID_HOSTNAME_ERROR"),
    ),
    Kind(
        "closed port",
        _codes("PORT.CLOSED", "PORT.PROBABLY_TYPO"),
        _plain(port=5999),
        _codes("CONNECTION_PORT_CLOSED_ERROR"),
    ),
    Kind(
        "black hole",
        _codes("FILTER.DROP", "HOST.DOWN"),
        _of(lambda lab, source: replace(source, host=lab.dead.BLACKHOLE)),
        _codes("CONNECTION_HOST_DOWN_ERROR"),
    ),
    Kind(
        "database does not exist",
        _codes("TARGET.MISSING"),
        _plain(database="nowhere"),
        _codes("CONNECTION_UNKNOWN_DATABASE_ERROR"),
    ),
    Kind("no CONNECT privilege", _codes("TARGET.NO_CONNECT"), _plain(database="vault")),
    Kind("no SELECT on anything", _codes("PRIV.OBJECT_DENIED"), _plain(username="nobody")),
    Kind("client not in pg_hba.conf", _codes("ADMIT.ALLOWLIST"), _plain(username="outsider")),
    Kind("server requires TLS", _codes("TLS.REQUIRED"), _encrypted("disable")),
    Kind("server has no TLS", _codes("TLS.NOT_OFFERED"), _plain(sslmode="require")),
    Kind("certificate of another name", _codes("TLS.NAME_MISMATCH"), _encrypted("verify-full")),
    Kind(
        "no route from here",
        _codes("ROUTE.NONE"),
        _of(lambda lab, source: replace(source, host=lab.dead.LOCAL_UNREACHABLE)),
    ),
    Kind("firewall rejects, administratively", _codes("FILTER.REJECT"), _filtered("admin-prohibited")),
    Kind("firewall rejects, as a closed port", _codes("FILTER.REJECT"), _filtered("port-unreachable")),
    Kind("port speaks HTTP", _codes("PROTO.MISMATCH"), _listener("http")),
    Kind("accepts and never speaks", _codes("PEER.MUTE"), _listener("mute")),
    Kind("password expired", _codes("AUTH.BAD_CREDENTIALS", "AUTH.EXPIRED_OR_LOCKED"), _plain(username="expired")),
    Kind("connection limit reached", _codes("CAPACITY.CONNECTIONS"), _plain(username="full")),
    Kind(
        "name server unreachable",
        _codes("DNS.RESOLVER_DOWN"),
        _of(lambda _lab, source: replace(source, host="db.lab.test", vantage="noresolver")),
    ),
    Kind(
        "no way out to a public address",
        _codes("ROUTE.NAT_MISSING"),
        _of(lambda lab, source: replace(source, host=lab.host().public, vantage="nogateway")),
    ),
)
