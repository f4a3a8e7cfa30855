"""The parts of a connection, whatever a tool calls them, as the fields of a type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.errors import NotFound
from registry.importing import NotTaken
from registry.types import DataSourceType

#: Names that drivers, dialects and other tools give to types, besides the aliases that the types have themselves.
FOREIGN: Mapping[str, str] = {
    "mssql": "sqlserver",
    "azuresql": "sqlserver",
    "mongo": "mongodb",
    "hiveserver2": "hive",
    "hive_cli": "hive",
    "spark": "hive",
    "kyuubi": "hive",
    "gcpbigquery": "bigquery",
    "google_cloud_platform": "bigquery",
    "http": "restapi",
    "dameng": "dm",
    "ibm_db_sa": "db2",
    "hana": "saphana",
    "clickhousedb": "clickhouse",
    "oceanbase": "apsaradb_for_oceanbase",
    "rds": "mysql",
}

#: Files of TLS as drivers name them -> fields.
_FILES: Mapping[str, Mapping[str, str]] = {
    "postgresql": {"sslrootcert": "truststore_file", "sslcert": "keystore_file", "sslkey": "key_file"},
    "mysql": {"ssl_ca": "truststore_file", "ssl_cert": "keystore_file", "ssl_key": "key_file"},
}


@dataclass(frozen=True)
class Parts:
    """One connection, taken apart.

    Attributes:
        password: A `SecretStr`, or the text of a reference.
        extra: What the tool knows besides: driver options and its own settings.
    """

    host: str = ""
    port: Any = None
    database: str = ""
    username: str = ""
    password: SecretStr | str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def type_of(name: Any) -> DataSourceType:
    """The type that another tool calls so.

    Raises:
        NotTaken: The catalogue has no such type.
    """
    if not isinstance(name, str) or not name.strip():
        raise NotTaken("it says no type")
    wanted = name.strip().lower().replace("-", "_")
    try:
        return types.get(FOREIGN.get(wanted, wanted))
    except NotFound as error:
        raise NotTaken(f"there is no data source type for {_shown(name)}", error.instruction) from None


def text(value: Any) -> str:
    """A scalar as text; empty for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""


def secret(value: Any) -> SecretStr | None:
    """A secret that stands in the export itself."""
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
        return None
    return SecretStr(str(value))


def embedded(value: Any, what: str) -> dict[str, Any]:
    """A mapping, or the text of one in JSON; empty where there is none.

    Raises:
        NotTaken: It is something else. The value is not repeated: it may hold secrets.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise NotTaken(f"its {what} is no JSON") from None
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise NotTaken(f"its {what} is no mapping")
    return value


def fields_of(type_: DataSourceType, parts: Parts) -> tuple[dict[str, Any], list[str]]:
    """The fields of an entry, and remarks on what has none.

    Raises:
        NotTaken: What the type cannot do without is missing.
    """
    extra = dict(parts.extra)
    build = _BUILDERS.get(type_.name, _database)
    fields = build(type_, parts, extra)
    known = {name for model in type_.modes.values() for name in model.model_fields}
    if "properties" in known and build is _database:
        flat = {key: text(value) for key, value in extra.items() if text(value)}
        if flat:
            fields["properties"] = flat
        extra = {key: value for key, value in extra.items() if key not in flat and value not in (None, "", {}, [])}
    fields = {name: value for name, value in fields.items() if value not in (None, "")}
    lost = [name for name in fields if name not in known]
    remarks = [f"{type_.name} has no {name}: it is left out" for name in lost]
    remarks += [f"{_shown(key)} is left out: {type_.name} has no field for it" for key in extra]
    return {name: value for name, value in fields.items() if name not in lost}, remarks


# --- a builder a shape: it takes out of `extra` what it uses ---------------------------------------------------------


def _database(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
    files = {
        name: f"file:{value}"
        for key, name in _FILES.get(type_.protocol, {}).items()
        if (value := text(extra.pop(key, None)))
    }
    return {"address": _address(type_, parts), "database": parts.database, **_login(parts), **files}


def _redis(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
    number = text(extra.pop("db", None)) or parts.database
    database = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    return {"address": _address(type_, parts), "database": database, **_login(parts)}


def _oracle(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
    sid = text(extra.pop("sid", None))
    service = text(extra.pop("service_name", None) or extra.pop("service", None))
    named = {"sid": sid} if sid else {"service_name": service or parts.database}
    return {"address": _address(type_, parts), **named, **_login(parts)}


def _hive(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
    login = _login(parts) if parts.password is not None else {}
    method = {"login_mode": "LDAP"} if login else {}
    return {"address": _address(type_, parts), "database": parts.database, **login, **method}


def _snowflake(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
    account, region = text(extra.pop("account", None)), text(extra.pop("region", None))
    if account and region and "." not in account:
        account = f"{account}.{region}"
    key = text(extra.pop("private_key_file", None) or extra.pop("private_key_path", None))
    found = {
        "account_url": account or parts.host,
        "database": text(extra.pop("database", None)) or parts.database,
        "warehouse_name": text(extra.pop("warehouse", None)),
        "role": text(extra.pop("role", None)),
        "username": parts.username,
    }
    if not found["account_url"]:
        raise NotTaken("it names no account")
    phrase = extra.pop("private_key_passphrase", None)
    if not key:
        return {**found, "password": parts.password}
    password = phrase if phrase is not None else parts.password
    proof = {"private_key_file_id": f"file:{key}", "private_key_password": password}
    return {**found, "security_protocol": "authTypePrivateKey", **proof}


def _bigquery(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
    keyfile = text(extra.pop("key_path", None) or extra.pop("keyfile", None))
    held = extra.pop("keyfile_dict", None) or extra.pop("keyfile_json", None)
    project = text(extra.pop("project", None)) or parts.database
    if not isinstance(held, str | SecretStr | None):
        held = SecretStr(json.dumps(held))
    auth = f"file:{keyfile}" if keyfile else (SecretStr(held) if isinstance(held, str) else held)
    return {"big_query_project_id": project, "big_query_auth": auth}


def _files(protocol: str) -> _Builder:
    def build(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
        if not parts.host:
            raise NotTaken("it names no host")
        key = text(extra.pop("key_file", None))
        proof = {"ssh_key_file": f"file:{key}", "security_protocol": "authTypeSshKey"} if key else {}
        spoken = {"protocol": protocol} if protocol != "ssh" else {}
        return {"host": parts.host, "port": _port(type_, parts), **spoken, **_login(parts), **proof}

    return build


def _http(field_: str) -> _Builder:
    def build(type_: DataSourceType, parts: Parts, extra: dict[str, Any]) -> dict[str, Any]:
        if not parts.host:
            raise NotTaken("it names no host")
        scheme = parts.database if parts.database in ("http", "https") else "http"
        whole = parts.host if "://" in parts.host else f"{scheme}://{parts.host}"
        has_port = re.search(r":\d+$", whole.partition("://")[2].partition("/")[0])
        url = f"{whole}:{text(parts.port)}" if text(parts.port) and not has_port else whole
        basic = {"security_protocol": "basic"} if field_ == "url" and parts.username else {}
        return {field_: url, **_login(parts), **basic}

    return build


_Builder = Callable[[DataSourceType, Parts, dict[str, Any]], dict[str, Any]]
_BUILDERS: Mapping[str, _Builder] = {
    "redis": _redis,
    "oracle": _oracle,
    "hive": _hive,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "ftp": _files("ftp"),
    "sftp": _files("sftp"),
    "ssh": _files("ssh"),
    "elasticsearch": _http("endpoint"),
    "restapi": _http("url"),
}


def _login(parts: Parts) -> dict[str, Any]:
    return {"username": parts.username, "password": parts.password}


def _address(type_: DataSourceType, parts: Parts) -> list[dict[str, Any]]:
    hosts = [host.strip() for host in parts.host.split(",") if host.strip()]
    if not hosts:
        raise NotTaken("it names no host")
    return [{"host": host, "port": _port(type_, parts)} for host in hosts]


def _port(type_: DataSourceType, parts: Parts) -> Any:
    given = text(parts.port)
    if not given:
        return type_.default_port
    return int(given) if re.fullmatch(r"[0-9]{1,6}", given) else given


def _shown(value: Any) -> str:
    """A key or type fit for a message: what does not look like one may be a secret gone astray."""
    return f"{value}" if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\- ]{0,60}", str(value)) else "something unreadable"
