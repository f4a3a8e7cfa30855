"""JDBC and native URLs: parsed to normalised parts, and built back from checked ones.

One file a dialect, named like the protocol where there is one. It has `parse(scheme, rest)`, `build(parsed)`,
`fields(parsed, default_port)` (the fields of an entry that a URL gives), and for the way back `scheme_of(connection)`
and, where its URLs have options, `options_of(connection)`. A type that speaks a known protocol under a scheme of its
own names the scheme in `DataSourceType.url_schemes` and needs no file here.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidInput
from registry.nearest import nearest
from registry.parameters import safe_parameters
from registry.urls.parsed import ParsedUrl

if TYPE_CHECKING:
    from registry.connection.model import Connection
    from registry.types import DataSourceType

__all__ = ["DIALECTS", "ParsedUrl", "build", "build_url", "fields", "parse", "type_name"]

#: Scheme -> the file that knows its dialect. Every protocol is a scheme too; further schemes come from the types.
DIALECTS = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    # The JDBC driver of this name speaks PostgreSQL's protocol; PolarDB for MySQL goes by MySQL's.
    "polardb": "postgresql",
    "mysql": "mysql",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "ftp": "ftp",
    "ftps": "ftp",
    "sftp": "ftp",
    "http": "http",
    "https": "http",
    "oracle": "oracle",
    "sqlserver": "sqlserver",
    "mongodb": "mongodb",
    "db2": "db2",
    "vertica": "generic",
    "dm": "generic",
    "lindorm": "lindorm",
    "saphana": "sap",
    "sap": "sap",
    "graph_database": "gremlin",
    "gremlin": "gremlin",
    "clickhouse": "generic",
    "hive2": "generic",
    "amqp": "service",
    "bigquery": "service",
    "datahub": "service",
    "dlf": "service",
    "lake": "service",
    "loghub": "service",
    "maxcompute": "service",
    "milvus": "service",
    "paimon": "service",
    "salesforce": "service",
    "snowflake": "service",
    "ssh": "service",
    "tablestore": "service",
    "amqps": "service",
    "elasticsearch": "service",
    "hbase": "service",
    "hdfs": "service",
    "httpfile": "service",
    "kafka": "service",
    "memcached": "service",
    "opensearch": "service",
    "oss": "service",
    "s3": "service",
}

#: Schemes of products that have no file in the catalogue.
_OTHER_TYPES = {"clickhouse": "clickhouse", "hive2": "hive"}

_NEVER_JDBC = ("mongodb", "rediss", "unix", "ftp", "ftps", "sftp", "http", "https")
_SCHEME = re.compile(r"(jdbc:)?([a-z][a-z0-9.+-]*):(.*)", re.IGNORECASE | re.DOTALL)
_MAX_LENGTH = 8192


def parse(url: str, *, where: str = "url") -> ParsedUrl:
    """Takes a URL apart; credentials come apart from the properties.

    Raises:
        InvalidInput: The URL is malformed or its scheme unknown (`CONFIG.BAD_VALUE`). No error repeats the URL: it
            may hold a password.
    """
    jdbc, name, rest = _split(url, where)
    dialect = _dialect(jdbc, name, where)
    try:
        if len(url) > _MAX_LENGTH:
            raise ValueError(f"it is longer than {_MAX_LENGTH} characters")
        found: ParsedUrl = dialect.parse(jdbc + name, rest)
    except ValueError as error:
        raise _bad(f"malformed {jdbc}{name} URL: {error}", where, f"for example: {dialect.EXAMPLE}") from None
    return replace(found, type_name=_type_name(name))


def type_name(url: str, *, where: str = "url") -> str:
    """The data source type that the scheme of a URL means, however malformed the rest is; empty where it has no file.

    Raises:
        InvalidInput: The scheme is unknown, or there is none.
    """
    jdbc, name, _ = _split(url, where)
    _dialect(jdbc, name, where)
    return _type_name(name)


def build(url: ParsedUrl) -> str:
    """The URL again, everything encoded, without the password."""
    jdbc, _, name = url.scheme.rpartition(":")
    return str(_dialect(jdbc and jdbc + ":", name, "url").build(url))


def fields(url: ParsedUrl, type_: DataSourceType, *, where: str = "url") -> dict[str, Any]:
    """The fields of an entry of this type that a URL gives; the password is a SecretStr.

    Raises:
        InvalidInput: The URL is of another protocol than the type.
    """
    jdbc, _, name = url.scheme.rpartition(":")
    dialect = _dialect(jdbc and jdbc + ":", name, "url")
    protocol = dialect.__name__.rpartition(".")[2]
    spoken = (type_.protocol, *type_.variants.values())
    strange = getattr(dialect, "ONE_TYPE_A_SCHEME", False) and url.type_name != type_.name
    if strange or protocol not in {DIALECTS.get(one) for one in spoken}:
        advice = f"is its type {url.type_name}?" if url.type_name else ""
        raise _bad(f"a {url.scheme} URL does not fit a data source of type {type_.name}", where, advice)
    own = DIALECTS.get(type_.protocol) == protocol
    found: dict[str, Any] = dialect.fields(url, type_.default_port if own else dialect.DEFAULT_PORT)
    if type_.variant_field:
        found.setdefault(type_.variant_field, protocol)
    return found


def build_url(type_: DataSourceType, connection: Connection) -> str:
    """A URL of a connection that is safe to show and to hand to a driver.

    No secret stands in it, and the parameters that endanger the client are out or forced safe.

    Raises:
        InvalidInput: The connection names no host (instance mode).
    """
    if not connection.endpoints():
        raise _bad("an instance has no URL before it is looked up", "", "use the connection string mode")
    protocol = type_.protocol_of(connection)
    dialect = importlib.import_module(f"{__name__}.{DIALECTS[protocol]}")
    scheme = str(dialect.scheme_of(connection))
    url = ParsedUrl(
        scheme,
        type_.name,
        tuple((endpoint.host, endpoint.port) for endpoint in connection.endpoints()),
        _text(getattr(connection, "database", None)),
        getattr(connection, "username", None),
        properties=safe_parameters(protocol, connection.properties),
        options=dialect.options_of(connection) if hasattr(dialect, "options_of") else {},
    )
    return str(dialect.build(url))


def _split(url: str, where: str) -> tuple[str, str, str]:
    """`jdbc:` or nothing, the scheme, and what follows its colon."""
    split = _SCHEME.fullmatch(str(url).strip())
    if not split:
        raise _bad("this is no URL: it has no scheme", where, f"for example: {_EXAMPLE}")
    return (split[1] or "").lower(), _without_driver(split[2].lower()), split[3]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _without_driver(scheme: str) -> str:
    """`postgresql` for SQLAlchemy's `postgresql+asyncpg`; `+srv` means another way to find the hosts and stays."""
    name, _, driver = scheme.partition("+")
    return scheme if driver == "srv" else name


def _dialect(jdbc: str, name: str, where: str) -> ModuleType:
    file = None if jdbc and name in _NEVER_JDBC else DIALECTS.get(name) or _dialect_of_type(name)
    if file is None and name in DIALECTS:
        raise _bad(f"unknown URL scheme jdbc:{name}", where, f"it begins with {name}://")
    if file is None:
        near = nearest(name, DIALECTS)
        hint = f"did you mean {jdbc}{near[0]}?" if near and not name.endswith("+srv") else f"for example: {_EXAMPLE}"
        shown = f" {jdbc}{name}" if len(name) <= 30 else ""
        raise _bad(f"unknown URL scheme{shown}", where, hint)
    return importlib.import_module(f"{__name__}.{file}")


def _dialect_of_type(scheme: str) -> str | None:
    from registry import types

    found = types.by_scheme(scheme)
    return DIALECTS.get(found.protocol) if found else None


def _type_name(scheme: str) -> str:
    from registry import types

    if other := _OTHER_TYPES.get(scheme):
        return other
    found = types.by_scheme(scheme)
    return found.name if found else ""


_EXAMPLE = "postgresql://app@db.example.com:5432/orders"


def _bad(reason: str, where: str, instruction: str) -> InvalidInput:
    return InvalidInput(reason, where=where, instruction=instruction, code="CONFIG.BAD_VALUE")
