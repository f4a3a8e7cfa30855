"""`http://` and `https://`: the URL itself is the configuration."""

from __future__ import annotations

import re
from typing import Any

from registry.urls.normal import refuse_invisible
from registry.urls.parsed import ParsedUrl, Parts, endpoints, parts, userinfo, written_endpoint

EXAMPLE = "https://api.example.com/v1"
DEFAULT_PORT = 443
PORTS = {"http": 80, "https": 443}

#: Parameters that carry a credential belong into `auth_token` or a header, where they are encrypted.
_SECRET_KEY = re.compile(
    r"(?:.*[_-])?(?:access_?token|auth|token|secret|password|passwd|pwd|api_?key|access_?key|sig|signature)",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


def parse(scheme: str, rest: str) -> ParsedUrl:
    """The URL with its path and query as options, unchanged."""
    split: Parts = parts(refuse_invisible(rest))
    hosts, username, password = userinfo(split.authority)
    found = endpoints(hosts)
    if len(found) != 1:
        raise ValueError("one host is needed after '//'")
    if not _PATH.fullmatch(split.path) or not _QUERY.fullmatch(split.query):
        raise ValueError("its path or query holds a character that must be percent-encoded")
    for piece in split.query.split("&"):
        if _SECRET_KEY.fullmatch(piece.partition("=")[0]):
            raise ValueError("its query carries a credential; give it as auth_token or in default_header")
    options = {"path": "/" + split.path if split.path else "", "query": split.query}
    return ParsedUrl(scheme, "", found, None, username, password, {}, options)


def build(url: ParsedUrl) -> str:
    """The URL without credentials; a default port is left out."""
    host, port = url.endpoints[0]
    where = written_endpoint(host, None if port == PORTS[url.scheme] else port)
    query = url.options.get("query", "")
    return f"{url.scheme}://{where}{url.options.get('path', '')}{'?' + query if query else ''}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    found: dict[str, Any] = {"url": build(url)}
    if url.username:
        found |= {"security_protocol": "basic", "username": url.username}
    if url.password:
        found["password"] = url.password
    return found


def scheme_of(connection: Any) -> str:
    """That of its URL."""
    return str(connection.url.partition(":")[0])


def options_of(connection: Any) -> dict[str, str]:
    """Path and query of its URL."""
    return dict(_parsed(connection.url).options)


def _parsed(url: str) -> ParsedUrl:
    scheme, colon, rest = url.strip().partition(":")
    if not colon or scheme.lower() not in PORTS:
        raise ValueError("it begins with http:// or https://")
    return parse(scheme.lower(), rest)


def normal_url(url: str) -> str:
    """The URL in its normal form.

    Raises:
        ValueError: It is no http or https URL, or carries a credential.
    """
    found = _parsed(url)
    if found.username or found.password:
        raise ValueError("it carries credentials; give username and password in their own fields")
    return build(found)


def endpoint_of(url: str) -> tuple[str, int]:
    """Host and port of a normal URL."""
    found = _parsed(url)
    host, port = found.endpoints[0]
    return host, port or PORTS[found.scheme]
