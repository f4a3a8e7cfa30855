"""The fields of an entry from the parts of a connection: a builder a shape, which takes out of `extra` what it uses.

The names of options are those of Airflow's providers, dbt's adapters and the drivers beneath them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from registry.importing import NotTaken
from registry.importing.parts import Parts, embedded, is_on, secret, text
from registry.types import DataSourceType

Extra = dict[str, Any]
Builder = Callable[[DataSourceType, Parts, Extra], dict[str, Any]]

#: Files of TLS as drivers name them -> fields.
_FILES: Mapping[str, Mapping[str, str]] = {
    "postgresql": {"sslrootcert": "truststore_file", "sslcert": "keystore_file", "sslkey": "key_file"},
    "mysql": {"ssl_ca": "truststore_file", "ssl_cert": "keystore_file", "ssl_key": "key_file"},
    "redis": {"ssl_ca_certs": "truststore_file", "ssl_certfile": "keystore_file", "ssl_keyfile": "key_file"},
    "mongodb": {"tlsCAFile": "truststore_file", "ssl_ca_certs": "truststore_file"},
    "clickhouse": {"ca_cert": "ssl_root_certificate_file"},
    "kafka": {"ssl.ca.location": "truststore_file", "ssl.certificate.location": "keystore_file"}
    | {"ssl.key.location": "key_file"},
}
#: Fields of files that `ssl` of MySQL's clients has inside.
_INSIDE_SSL = {"ca": "truststore_file", "cert": "keystore_file", "key": "key_file"}


def _files(type_: DataSourceType, extra: Extra) -> dict[str, Any]:
    known = _FILES.get(type_.protocol, {})
    return {name: f"file:{value}" for key, name in known.items() if (value := text(extra.pop(key, None)))}


def _tls(extra: Extra, *switches: str) -> dict[str, str]:
    """Whether one of these switches asks for TLS; what says nothing leaves it to the type."""
    asked = [extra.pop(name) for name in switches if name in extra]
    return {"security_protocol": "authTypeSsl"} if any(map(is_on, asked)) else {}


def database(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    """Any database with an address, a name and a login."""
    files, more = _files(type_, extra), dict[str, Any]()
    if type_.protocol == "mysql" and (isinstance(extra.get("ssl"), Mapping) or text(extra.get("ssl")).startswith("{")):
        inside = embedded(extra.pop("ssl"), "ssl")
        files |= {name: f"file:{value}" for key, name in _INSIDE_SSL.items() if (value := text(inside.get(key)))}
        more["security_protocol"] = "authTypeSsl"
    if type_.protocol == "postgresql":
        more["client_password"] = secret(extra.pop("sslpassword", None))
    return {"address": _address(type_, parts), "database": parts.database, **_login(parts), **files, **more}


def _redis(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    number = text(extra.pop("db", None)) or parts.database
    index = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    tls = _tls(extra, "ssl")
    return {"address": _address(type_, parts), "database": index, **_login(parts), **_files(type_, extra), **tls}


def _mongodb(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    if is_on(extra.pop("srv", None)):
        raise NotTaken(
            "its host is found by SRV records", "name the hosts themselves, and replicaSet among its options"
        )
    tls = _tls(extra, "ssl", "tls")
    found = {"address": _address(type_, parts), "database": parts.database, **_login(parts), **_files(type_, extra)}
    return {**found, "auth_db": text(extra.pop("authSource", None)), **tls}


def _clickhouse(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    tls, files = _tls(extra, "secure"), _files(type_, extra)
    return {"address": _address(type_, parts), "database": parts.database, **_login(parts), **files, **tls}


def _oracle(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    sid = text(extra.pop("sid", None))
    service = text(extra.pop("service_name", None) or extra.pop("service", None)) or parts.database
    host, port = parts.host, parts.port
    given = text(extra.pop("dsn", None) or extra.pop("connection_string", None))
    if given and not host:
        easy = re.fullmatch(r"(?://)?([^/:()\s]+)(?::(\d+))?/([^/:()\s]+)", given)
        if easy is None:
            raise NotTaken("its dsn is none of the form host:port/service (not shown)", "write host, port and service")
        host, port, service = easy[1], easy[2], easy[3]
    if not host and extra.get("tns_name"):
        raise NotTaken("it is found in tnsnames.ora, which is not read", "write host, port and service")
    named = {"sid": sid} if sid else {"service_name": service}
    tls = {"security_protocol": "authTypeSsl"} if text(extra.pop("protocol", None)).lower() == "tcps" else {}
    there = _address(type_, Parts(host=host, port=port))
    return {"address": there, **named, **_login(parts), **tls}


def _hive(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    if "KERBEROS" in (text(extra.get(name)).upper() for name in ("auth", "auth_mechanism", "auth_type")):
        advice = "add it by hand: security_protocol authTypeKerberos, kerberos_file_keytab, principal"
        raise NotTaken("it logs in by Kerberos, with a keytab that it does not name", advice)
    login = _login(parts) if parts.password is not None else {}
    method = {"login_mode": "LDAP"} if login else {}
    tls = _tls(extra, "use_ssl")
    return {"address": _address(type_, parts), "database": parts.database, **login, **method, **tls}


def _snowflake(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    account, region = text(extra.pop("account", None)), text(extra.pop("region", None))
    if account and region and "." not in account:
        account = f"{account}.{region}"
    path = text(extra.pop("private_key_file", None) or extra.pop("private_key_path", None))
    content = extra.pop("private_key_content", None) or extra.pop("private_key", None)
    found = {
        "account_url": account or parts.host,
        # SQLAlchemy's dialect has database and schema in one: `SHOP/PUBLIC`.
        "database": text(extra.pop("database", None)) or parts.database.partition("/")[0],
        "warehouse_name": text(extra.pop("warehouse", None)),
        "role": text(extra.pop("role", None)),
        "username": parts.username,
    }
    if not found["account_url"]:
        raise NotTaken("it names no account")
    phrase = _hidden(extra.pop("private_key_passphrase", None))
    key = f"file:{path}" if path else _hidden(content)
    if key is None:
        return {**found, "password": parts.password}
    proof = {"private_key_file_id": key, "private_key_password": phrase if phrase is not None else parts.password}
    return {**found, "security_protocol": "authTypePrivateKey", **proof}


def _bigquery(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    keyfile = text(extra.pop("key_path", None) or extra.pop("keyfile", None))
    held = extra.pop("keyfile_dict", None) or extra.pop("keyfile_json", None)
    project = text(extra.pop("project", None)) or parts.database
    if isinstance(held, Mapping):
        held = json.dumps(held)
    return {"big_query_project_id": project, "big_query_auth": f"file:{keyfile}" if keyfile else _hidden(held)}


def _maxcompute(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    endpoint = text(extra.pop("endpoint", None)) or parts.host
    tunnel = text(extra.pop("tunnel_endpoint", None))
    public = re.search(r"//service\.([a-z0-9-]+?)(?:-vpc|-intranet)?\.(?:maxcompute|odps)\.", endpoint)
    custom = {"endpoint_mode": "Custom", "endpoint": endpoint, "tunnel_server": tunnel}
    return {
        "project": text(extra.pop("project", None)) or parts.database,
        "access_id": text(extra.pop("access_key_id", None)) or parts.username,
        "access_key": _hidden(extra.pop("access_key_secret", None)) or parts.password,
        **({"region_id": public[1]} if public and not tunnel else custom if endpoint else {}),
    }


_KAFKA_SECURITY = {"plaintext": "None", "ssl": "Ssl", "sasl_ssl": "SaslSsl", "sasl_plaintext": "SaslPlaintext"}


def _kafka(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    servers = text(extra.pop("bootstrap.servers", None))
    spoken = text(extra.pop("security.protocol", None)).lower()
    mechanism = text(extra.pop("sasl.mechanism", None) or extra.pop("sasl.mechanisms", None)).lower()
    return {
        "address": _address(type_, Parts(servers) if servers else parts),
        "security_protocol": f"authType{_KAFKA_SECURITY[spoken]}" if spoken in _KAFKA_SECURITY else "",
        "sasl_mechanism": mechanism,
        "sasl_username": text(extra.pop("sasl.username", None)) or parts.username,
        "sasl_password": _hidden(extra.pop("sasl.password", None)) or parts.password,
        **_files(type_, extra),
    }


def _hdfs(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    if not parts.host:
        raise NotTaken("it names no host")
    return {"default_fs": f"hdfs://{parts.host}:{_port(type_, parts)}", "username": parts.username}


def _object_store(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    bucket = text(extra.pop("bucket_name", None) or extra.pop("bucket", None)) or parts.database
    endpoint = text(extra.pop("endpoint_url", None) or extra.pop("host", None)) or parts.host
    region = text(extra.pop("region_name", None))
    if not bucket:
        raise NotTaken("it names no bucket, which a data source of this type is", "add it by hand: headwater apply")
    if not endpoint and region and type_.name == "s3":
        endpoint = f"https://s3.{region}.amazonaws.com"
    return {
        "endpoint": endpoint,
        "region_id": region,
        "bucket": bucket,
        "access_id": text(extra.pop("aws_access_key_id", None)) or parts.username,
        "access_key": _hidden(extra.pop("aws_secret_access_key", None)) or parts.password,
    }


def _machine(protocol: str) -> Builder:
    def build(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
        if not parts.host:
            raise NotTaken("it names no host")
        path, content = text(extra.pop("key_file", None)), _hidden(extra.pop("private_key", None))
        key = f"file:{path}" if path else content
        proof = {"ssh_key_file": key, "security_protocol": "authTypeSshKey"} if key is not None else {}
        phrase = _hidden(extra.pop("private_key_passphrase", None))
        if phrase is not None and proof:
            proof["ssh_key_password"] = phrase
        spoken = {"protocol": protocol} if protocol != "ssh" else {}
        return {"host": parts.host, "port": _port(type_, parts), **spoken, **_login(parts), **proof}

    return build


def _search(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    return {"endpoint": _url(parts, secure=is_on(extra.pop("use_ssl", None))), **_login(parts)}


def _restapi(type_: DataSourceType, parts: Parts, extra: Extra) -> dict[str, Any]:
    """What Airflow keeps as extra of such a connection are headers."""
    found: dict[str, Any] = {"url": _url(parts), **_login(parts)}
    bearer = text(extra.get("Authorization"))
    if bearer.lower().startswith("bearer "):
        del extra["Authorization"]
        return {**found, "security_protocol": "token", "auth_token": SecretStr(bearer[7:].strip())}
    return found | ({"security_protocol": "basic"} if parts.username else {})


def _url(parts: Parts, *, secure: bool = False) -> str:
    if not parts.host:
        raise NotTaken("it names no host")
    scheme = parts.database if parts.database in ("http", "https") else "https" if secure else "http"
    whole = parts.host if "://" in parts.host else f"{scheme}://{parts.host}"
    has_port = re.search(r":\d+$", whole.partition("://")[2].partition("/")[0])
    start, slash, path = whole.partition("://")[2].partition("/")
    port = f":{text(parts.port)}" if text(parts.port) and not has_port else ""
    return f"{whole.partition('://')[0]}://{start}{port}{slash}{path}"


BUILDERS: Mapping[str, Builder] = {
    "redis": _redis,
    "mongodb": _mongodb,
    "clickhouse": _clickhouse,
    "oracle": _oracle,
    "hive": _hive,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "maxcompute": _maxcompute,
    "kafka": _kafka,
    "hdfs": _hdfs,
    "s3": _object_store,
    "oss": _object_store,
    "ftp": _machine("ftp"),
    "sftp": _machine("sftp"),
    "ssh": _machine("ssh"),
    "elasticsearch": _search,
    "opensearch": _search,
    "restapi": _restapi,
}


#: Of those with a builder, the types whose other options may be parameters of their URLs.
WITH_OPTIONS = ("mongodb", "clickhouse")


def _hidden(value: Any) -> SecretStr | str | None:
    """A secret from `extra`: itself, or the text of a reference where a reader has made one."""
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, Reference):
        return str(value)
    return secret(value)


class Reference(str):
    """A reference to a secret, in `extra`: there, a plain text is the secret itself."""

    __slots__ = ()


def _login(parts: Parts) -> dict[str, Any]:
    return {"username": parts.username, "password": parts.password}


def _address(type_: DataSourceType, parts: Parts) -> list[dict[str, Any]]:
    """One host, or several with commas between them; each may bring its own port."""
    hosts = [host.strip() for host in parts.host.split(",") if host.strip()]
    if not hosts:
        raise NotTaken("it names no host")
    found = []
    for host in hosts:
        own = re.fullmatch(r"([^:\[\]]+|\[[^\[\]]+\]):(\d{1,5})", host)
        port = int(own[2]) if own else _port(type_, parts)
        found.append({"host": (own[1] if own else host).strip("[]"), "port": port})
    return found


def _port(type_: DataSourceType, parts: Parts) -> Any:
    given = text(parts.port)
    if not given:
        return type_.default_port
    return int(given) if re.fullmatch(r"[0-9]{1,6}", given) else given
