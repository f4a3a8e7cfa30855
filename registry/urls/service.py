"""Brokers, caches, stores and clusters: `SCHEME://user@hosts/path`, each type under a scheme of its own.

A model of such a type names the scheme in `url_scheme`; `url_path` is what stands behind the hosts, if anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from registry.urls.normal import decoded, refuse_invisible
from registry.urls.parsed import (
    ParsedUrl,
    endpoints,
    parts,
    userinfo,
    written_endpoint,
    written_endpoints,
    written_user,
)

EXAMPLE = "kafka://broker1.example.com:9092,broker2.example.com:9092"
DEFAULT_PORT = 443
#: A scheme of this dialect fits one type only.
ONE_TYPE_A_SCHEME = True


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Hosts, a user, and the path as an option; `?tls=false` says that the endpoint is a plaintext one."""
    split = parts(rest)
    hosts, username, password = userinfo(split.authority)
    found = endpoints(hosts)
    if not found:
        raise ValueError("a host is needed after '//'")
    path = refuse_invisible(decoded(split.path))
    if split.query not in ("", "tls=false") or any(char in path for char in "?#;%\\"):
        raise ValueError("behind the hosts stands a plain path, without parameters")
    options = {"path": path, "tls": "false" if split.query else ""}
    return ParsedUrl(
        scheme,
        "",
        found,
        (path or None) if scheme in _DATABASES else None,
        username,
        password,
        {},
        {key: v for key, v in options.items() if v},
    )


def build(url: ParsedUrl) -> str:
    """Without the password."""
    hosts = written_endpoints(url)
    path, query = quote(url.options.get("path", "")), "?tls=false" if "tls" in url.options else ""
    return f"{url.scheme}://{written_user(url.username)}{hosts}{'/' + path if path else ''}{query}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    prefix = "sasl_" if url.scheme == "kafka" else ""
    account = {f"{prefix}username": url.username, f"{prefix}password": url.password}
    found = {**_FIELDS[url.scheme](url, default_port), **account}
    return {name: value for name, value in found.items() if value}


def scheme_of(connection: Any) -> str:
    """That of its type."""
    return str(connection.url_scheme)


def options_of(connection: Any) -> dict[str, str]:
    """What stands behind the hosts."""
    plain = str(getattr(connection, "url", "")).startswith("http:")
    options = {"path": getattr(connection, "url_path", "").lstrip("/"), "tls": "false" if plain else ""}
    return {key: value for key, value in options.items() if value}


def _addresses(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    return {"address": [{"host": host, "port": port or default_port} for host, port in url.endpoints]}


def _broker(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    host = url.options.get("path", "")
    secured = {"security_protocol": "authTypeSsl"} if url.scheme == "amqps" else {}
    return {**_addresses(url, 5671 if secured else default_port), "virtual_host": host, **secured}


def _proxy(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    host, port = _only(url)
    return {"proxy": host, "port": port or default_port}


def _endpoint(url: ParsedUrl, default_port: int, field: str = "endpoint", path: str = "") -> dict[str, Any]:
    host, port = _only(url)
    scheme = "http" if "tls" in url.options else "https"
    return {field: f"{scheme}://{written_endpoint(host, port or default_port)}{path}"}


def _bucket(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    return {**_endpoint(url, default_port), "bucket": url.options.get("path", "")}


def _named(field: str, endpoint: str = "endpoint") -> Callable[[ParsedUrl, int], dict[str, Any]]:
    """A service whose project, instance or database stands behind its host."""

    def read(url: ParsedUrl, default_port: int) -> dict[str, Any]:
        return {**_endpoint(url, default_port, endpoint), **({field: url.options.get("path", "")} if field else {})}

    return read


def _machine(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    host, port = _only(url)
    return {"host": host, "port": port or default_port}


def _prefix(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    return _endpoint(url, default_port, "url_prefix", "/" + quote(url.options.get("path", "")))


def _quorum(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    quorum = ",".join(written_endpoint(host, port or default_port) for host, port in url.endpoints)
    parent = {"zookeeper.znode.parent": "/" + url.options["path"]} if "path" in url.options else {}
    return {"hbase_config": {"hbase.zookeeper.quorum": quorum, **parent}}


def _name_nodes(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    nodes = [written_endpoint(host, port or default_port) for host, port in url.endpoints]
    return {"default_fs": f"hdfs://{','.join(nodes)}"}


def _only(url: ParsedUrl) -> tuple[str, int | None]:
    if len(url.endpoints) != 1:
        raise ValueError("one host is needed after '//'")
    return url.endpoints[0]


def _project(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """MaxCompute's own form: the path of its API, then `projects/NAME`."""
    base, _, project = f"/{url.options.get('path', '')}".rpartition("/projects/")
    return {**_endpoint(url, default_port, path=quote(base)), "project": project.strip("/")}


#: Schemes whose path is the name of a database.
_DATABASES = frozenset({"dlf", "milvus", "snowflake"})
#: Scheme -> the fields that its URLs give.
_FIELDS: Mapping[str, Callable[[ParsedUrl, int], dict[str, Any]]] = {
    "kafka": _addresses,
    "amqp": _broker,
    "amqps": _broker,
    "memcached": _proxy,
    "elasticsearch": _endpoint,
    "opensearch": _endpoint,
    "bigquery": _named("big_query_project_id"),
    "datahub": _named("project"),
    "dlf": _named("database"),
    "loghub": _named("project"),
    "maxcompute": _project,
    "milvus": _named("database"),
    "paimon": _named("warehouse"),
    "salesforce": _named("", "instance_url"),
    "snowflake": _named("database", "account_url"),
    "ssh": _machine,
    "tablestore": _named("instance_name"),
    "s3": _bucket,
    "oss": _bucket,
    "httpfile": _prefix,
    "hbase": _quorum,
    "hdfs": _name_nodes,
}
