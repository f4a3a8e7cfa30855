"""Which cause an answer of a Gremlin server asserts: by its status code, and by HTTP's before that."""

from __future__ import annotations

from tasks.protocols import Answer, hanging_up

OK, NO_CONTENT, PARTIAL = 200, 204, 206
UNAUTHORIZED, FORBIDDEN, AUTHENTICATE = 401, 403, 407

ANSWERS = (
    *hanging_up.ANSWERS,
    Answer(
        "PROTO.MISMATCH",
        {"http_status": frozenset({200, 400, 404, 405, 426, 301, 302})},
        stage="greet",
        message="{address}:{port} speaks HTTP, but has no Gremlin interface at /gremlin (status {http_status}).",
        remedy="Correct the port: servers of type {type} usually listen on {default_port}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"http_status": frozenset({401, 403})}, stage="greet"),
    Answer("CAPACITY.CONNECTIONS", {"http_status": 429}, stage="greet"),
    Answer("SERVER.NOT_READY", {"http_status": 503}, stage="greet"),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks for a user name and password, and {source}/{env} has none.",
        remedy="Set username and password for {source}/{env}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"gremlin_status": UNAUTHORIZED}),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer(
        "TARGET.OBJECT_MISSING", {"object_missing": True}, message="The graph has no vertex with the label {object}."
    ),
    Answer("PRIV.OBJECT_DENIED", {"gremlin_status": FORBIDDEN}),
    Answer("CAPACITY.CONNECTIONS", {"gremlin_status": 429}),
)
