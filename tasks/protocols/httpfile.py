"""Files of a web server: HTTP, with the first bytes of every file (RFC 9110, section 14)."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.protocols import Answer, Protocol
from tasks.protocols.http.answers import ANSWERS
from tasks.protocols.http.session import SAMPLE, HttpSession
from tasks.protocols.http.wire import Origin


class HttpFileSession(HttpSession):
    """One conversation with one web server."""

    header_field = "default_headers"
    #: An empty file has no first byte, and is there.
    passing = frozenset({416})
    only_prefix = True

    def _headers(self, origin: Origin, credentials: bool) -> Mapping[str, str]:
        return {**super()._headers(origin, credentials), "range": f"bytes=0-{SAMPLE - 1}"}


PROTOCOL = Protocol(
    name="httpfile",
    title="HTTP",
    session=HttpFileSession,
    answers=(
        Answer(
            "TARGET.MISSING",
            {"http_status": frozenset({404, 410})},
            stage="target",
            component="{url}",
            message="{url} does not exist (HTTP {http_status}).",
            remedy="Correct url_prefix; or bind the files under it as objects, if the prefix itself is no file.",
        ),
        Answer(
            "AUTH.BAD_CREDENTIALS",
            {"http_status": 401, "configured": "none"},
            component="default_headers",
            message="{url} asks for credentials ({method}), and {source}/{env} has none.",
            remedy="Give the header that the server asks for in default_headers, its value as a reference.",
        ),
        *ANSWERS,
    ),
)
