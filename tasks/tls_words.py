"""How a connection says what it wants of TLS: the words of a remedy, which may only name fields that its type has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Where the scheme of a URL says it.
_URLS = ("endpoint", "url", "url_prefix", "instance_url", "account_url")
#: Properties of drivers, folded -> with TLS, without. Of several that are written the first one here decides
#: (`registry.connection.tls`): another one would change nothing.
_SWITCHES: Mapping[str, tuple[str, str]] = {
    "sslmode": ("require", "disable"),
    **dict.fromkeys(("usessl", "requiressl", "ssl", "tls", "encrypt", "sslconnection"), ("true", "false")),
}
#: MySQL's drivers have words of their own for it.
_MYSQL_MODES = ("REQUIRED", "DISABLED")
_AUTHORITIES = ("truststore_file", "ssl_root_certificate_file")


def words(connection: Any, type_: str, protocol: str) -> Mapping[str, str]:
    """The words for templates.

    Returns:
        ``tls_field``: what the connection says it in, as it was written where it was. ``enable_tls``,
        ``disable_tls``: clauses that tell how to say otherwise. ``trust_ca``, ``ca_store``: where a CA's certificate
        belongs. ``give_certificate``, ``certificate_field``: the same for the client's own.
    """
    fields = type(connection).model_fields if connection is not None else {"security_protocol": None}
    field, on, off = _said(connection, fields, protocol)
    authority = next((name for name in _AUTHORITIES if name in fields), "")
    found = {
        "tls_field": field or "port",
        "enable_tls": on or f"use a port without TLS: type {type_} is spoken to without it",
        "disable_tls": off or "use a port with TLS",
        "trust_ca": f"as {authority}" if authority else "to the machine that tests, among those it trusts",
        "ca_store": authority or "what the machine that tests trusts",
    }
    return {**found, **_certificate(fields, type_)}


def _said(connection: Any, fields: Mapping[str, Any], protocol: str) -> tuple[str, str, str]:
    url = next((name for name in _URLS if name in fields), None)
    if url:
        return url, f"write https:// in {url}", f"write http:// in {url}"
    if protocol in ("ftp", "sftp"):
        return "protocol", "set protocol: ftps", "set protocol: ftp"
    written = {name.lower(): name for name in getattr(connection, "properties", {})}
    for switch, words in _SWITCHES.items():
        if switch in written and not (protocol == "clickhouse" and switch == "sslmode"):
            name = written[switch]
            on, off = _MYSQL_MODES if protocol == "mysql" and switch == "sslmode" else words
            return name, f"set {name}: {on}", f"set {name}: {off}"
    if getattr(connection, "auth_type", None) in ("authTypeSsl", "authTypeNone"):
        return "auth_type", "set auth_type: authTypeSsl", "set auth_type: authTypeNone"
    if "security_protocol" not in fields or protocol in ("hbase", "ssh"):
        return "", "", ""
    with_login = "Sasl" in str(getattr(connection, "security_protocol", ""))
    ssl, none = ("authTypeSaslSsl", "authTypeSaslPlaintext") if with_login else ("authTypeSsl", "authTypeNone")
    return "security_protocol", f"set security_protocol: {ssl}", f"set security_protocol: {none}"


def _certificate(fields: Mapping[str, Any], type_: str) -> Mapping[str, str]:
    if "keystore_file" not in fields:
        none = f"type {type_} has no client certificates"
        return {"certificate_field": "client certificate", "give_certificate": f"have the server ask for none: {none}"}
    key = "and its key as key_file" if "key_file" in fields else "with its key in it"
    told = f"give a certificate signed by the server's client CA as keystore_file, {key}"
    return {"certificate_field": "keystore_file", "give_certificate": told}
