"""`ftp://`, `ftps://` and `sftp://`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from registry.urls.normal import decoded, refuse_invisible
from registry.urls.parsed import ParsedUrl, endpoints, parts, userinfo, written_endpoint, written_user

EXAMPLE = "sftp://app@files.example.com:22/export/orders"
DEFAULT_PORT = 21

#: 990 is FTP over TLS from the first byte, which is what `ftps://` means to curl and browsers.
PORTS = {"ftp": 21, "ftps": 990, "sftp": 22}


def parse(scheme: str, rest: str) -> ParsedUrl:
    """The path is the directory under which the objects are.

    Of FTP it starts at the directory of the login, and ``%2F`` in front makes it absolute (RFC 1738, section 3.2.2).
    """
    split = parts(rest)
    hosts, username, password = userinfo(split.authority)
    found = endpoints(hosts)
    directory = refuse_invisible(decoded(split.path))
    if len(found) != 1:
        raise ValueError("one host is needed after '//'")
    if split.query or re.search(r"[?#;%\\]", directory):
        raise ValueError("behind the host stands a plain path, without parameters")
    from_login = scheme != "sftp" and not directory.startswith("/")
    options = {"path": directory if from_login else "/" + directory.lstrip("/")} if directory else {}
    return ParsedUrl(scheme, "", found, None, username, password, {}, options)


def build(url: ParsedUrl) -> str:
    """Without the password."""
    host, port = url.endpoints[0]
    path = quote(url.options.get("path", ""))
    if path and url.scheme != "sftp":
        path = "/" + (f"%2F{path[1:]}" if path.startswith("/") else path)
    return f"{url.scheme}://{written_user(url.username)}{written_endpoint(host, port)}{path}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives; FTP without a user is anonymous."""
    host, port = url.endpoints[0]
    found: dict[str, Any] = {
        "protocol": url.scheme,
        "host": host,
        "port": port or PORTS[url.scheme],
        "base_dir": url.options.get("path", ""),
        "username": url.username or ("" if url.scheme == "sftp" else "anonymous"),
        "password": url.password,
    }
    return {name: value for name, value in found.items() if value}


def scheme_of(connection: Any) -> str:
    """Its protocol."""
    return str(connection.protocol)


def options_of(connection: Any) -> dict[str, str]:
    """The directory."""
    return {"path": connection.base_dir}
