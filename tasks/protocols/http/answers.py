"""Which cause an HTTP status, a challenge or the end of a redirect asserts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer

#: RFC 8446, section 6.2: no certificate, a bad, unsupported, revoked, expired, unknown one, unknown CA, one required.
_CERTIFICATE_ALERTS = frozenset({41, 42, 43, 44, 45, 46, 48, 116})


def _tls_required(when: Mapping[str, Any]) -> Answer:
    return Answer(
        "TLS.REQUIRED",
        when,
        component="{tls_field}",
        message="{host}:{port} speaks HTTP over TLS only.",
        remedy="{enable_tls} for {source}/{env}.",
    )


ANSWERS: tuple[Answer, ...] = (
    _tls_required({"over_tls": "answers"}),
    Answer(
        "TLS.NOT_OFFERED",
        {"not_tls": True, "looks_like": "HTTP"},
        stage="tls",
        remedy="{disable_tls}, if the network may be trusted; or enable TLS on the server.",
    ),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "CONFIG.BAD_VALUE",
        {"unsendable": True},
        component="default_header",
        message="The URL, a header or a credential of {source}/{env} holds a character that HTTP cannot carry.",
        remedy="Look for line breaks and control characters in default_header, auth_token and the URL.",
    ),
    Answer(
        "SERVER.ERROR",
        {"cut_off": True},
        message="{url} answers (HTTP {http_status}) with a body that ends before the length that its head announces, "
        "or is garbled on the way.",
        remedy="Look at the service behind {address}:{port}, and at proxies before it: their logs tell who ended the "
        "answer.",
    ),
    Answer("TARGET.REDIRECT_LOOP", {"redirect_loop": True}),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_redirect": True},
        component="url",
        message="{url} redirects to a location that is no http URL.",
        remedy="Configure the URL that answers without a redirect.",
    ),
    *(
        Answer(
            code,
            {"redirect_verify_code": verify_codes},
            component="{redirected_to}",
            message="The certificate of {host}:{port} cannot be verified.",
            remedy="Have the certificate of {host}:{port} mended, or trust its authority.",
        )
        for code, verify_codes in (
            ("TLS.EXPIRED", 10),
            ("TLS.NOT_YET_VALID", 9),
            ("TLS.NAME_MISMATCH", frozenset({62, 64})),
            ("TLS.UNTRUSTED_CA", bool),
        )
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"http_status": 407},
        message="{address}:{port} is a proxy that asks for credentials of its own ({method}).",
        remedy="Configure the URL of the service itself, or let the proxy pass {source_cidr}.",
    ),
    _tls_required({"http_status": 401, "elsewhere": "https"}),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"http_status": 401, "configured": "none", "unsupported": True},
        message="{url} asks for authentication by {method}, which is not possible here.",
        remedy="Have the service accept basic or token authentication.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"http_status": 401, "configured": "none"},
        component="security_protocol",
        message="{url} asks for credentials ({method}), and {source}/{env} has none.",
        remedy="Set security_protocol: basic with username and password, or token with auth_token.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"http_status": 401, "elsewhere": bool},
        component="{url}",
        message="The redirect leads to {url}, another server, to which the credentials of {source} are not sent.",
        remedy="Configure {url} itself, if its owner may know the credentials.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"http_status": 401, "unsupported": True},
        message="{url} asks for authentication by {method}; {source}/{env} is configured for {configured}.",
        remedy="Set the security_protocol that the service asks for, or have it accept {configured}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"http_status": 401, "configured": "basic"}),
    Answer("AUTH.TOKEN", {"http_status": 401}, component="{configured}", message="{url} does not accept the token."),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"http_status": 429},
        message="{url} has had too many requests from this client (HTTP 429).",
        remedy="Test less often, or have the service's rate limit raised for {source_cidr}.",
    ),
    Answer("SERVER.NOT_READY", {"http_status": 503}, message="{url} is not available at the moment (HTTP 503)."),
    Answer(
        "PROTO.MISMATCH",
        {"http_status": 505},
        message="{address}:{port} does not accept HTTP/1.1 (HTTP 505).",
        remedy="Configure a URL that serves HTTP/1.1.",
    ),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"http_status": frozenset({404, 410}), "object": bool},
        stage="privilege",
        message="{object} is not there under the URL of {source} (HTTP {http_status}).",
    ),
    Answer(
        "TARGET.MISSING",
        {"http_status": frozenset({404, 410})},
        component="{url}",
        message="{url} does not exist (HTTP {http_status}).",
        remedy="Correct the path of the URL.",
    ),
    Answer(
        INCONCLUSIVE,
        {"http_status": 403, "anonymous_status": 403, "root_status": 403},
        alternatives=("ADMIT.ALLOWLIST", "PRIV.OBJECT_DENIED"),
        component="{source_address}",
        message="{url} is forbidden (HTTP 403) with and without credentials, and so is the root of the host.",
        remedy="Test from another resource group: if it is allowed there, let the service admit {source_cidr}.",
    ),
    Answer("PRIV.OBJECT_DENIED", {"http_status": 403}, message="{username} may not read {object} (HTTP 403)."),
    *(
        Answer(
            "TLS.CLIENT_CERT",
            when,
            component="{host}:{port}",
            message="{host}:{port} asks for a client certificate in its handshake and serves nobody without one.",
            remedy="Have the service accept basic or token authentication: type {type} has no client certificates.",
        )
        for when in (
            {"alert": _CERTIFICATE_ALERTS},
            {"http_status": 400, "asks_certificate": True, "root_status": 400},
        )
    ),
    Answer(
        INCONCLUSIVE,
        {"http_status": 400, "asks_certificate": lambda asked: asked is not False, "root_status": bool},
        alternatives=("CONFIG.BAD_VALUE", "TLS.CLIENT_CERT"),
        component="{url}",
        message="{url} calls the request bad (HTTP 400); it may be for want of a client certificate.",
        remedy="Ask the service's owner whether clients need a certificate; if not, correct the URL and its query.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"http_class": 4},
        component="{url}",
        message="{url} refuses to be read (HTTP {http_status}).",
        remedy="Correct the URL, its query or default_header: the service must answer a GET of it.",
    ),
    Answer(
        "SERVER.ERROR",
        {"http_status": 304},
        message="{url} answers that nothing has changed (HTTP 304), which nobody has asked: there is nothing to read.",
        remedy="Look at the caches and proxies before the service: they answer for it, as to somebody else.",
    ),
    Answer(
        "SERVER.ERROR",
        {"http_class": 3},
        message="{url} redirects (HTTP {http_status}) without saying where to.",
    ),
    Answer(
        "SERVER.ERROR",
        {"http_status": bool},
        message="{url} answers with an error of its own (HTTP {http_status}).",
    ),
)
