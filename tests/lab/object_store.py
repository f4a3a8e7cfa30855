"""moto's server, with the answer of real stores to requests without signature: moto, told to check, breaks on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)


def main(host: str, port: str, certificate: str = "", key: str = "") -> None:
    """Serve until killed; over TLS where there is a certificate."""
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_AUTHORIZATION" in environ or environ["PATH_INFO"].startswith("/moto-api/"):
            return moto(environ, start_response)
        start_response("403 Forbidden", [("content-type", "application/xml"), ("x-amz-request-id", "4442587FB7D0A2F9")])
        return [_DENIED]

    context = (certificate, key) if certificate else None
    run_simple(host, int(port), application, threaded=True, ssl_context=context)


if __name__ == "__main__":
    main(*sys.argv[1:])
