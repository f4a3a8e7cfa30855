"""Which cause an answer of Memcached asserts."""

from __future__ import annotations

from tasks.protocols import Answer

ANSWERS: tuple[Answer, ...] = (
    Answer("TLS.REQUIRED", {"over_tls": "answers"}, message="{address}:{port} speaks over TLS only."),
    Answer("TLS.NOT_OFFERED", {"not_tls": True, "looks_like": "Memcached"}, stage="tls"),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"error_word": "ERROR", "unasked": True},
        message="{address}:{port} turns every new client away before its first word: its connection limit is reached.",
        remedy="Close idle clients, or start memcached with a higher limit (-c).",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks for a login, and {source}/{env} has none.",
        remedy="Set username and password for {source}/{env}.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer("AUTH.BAD_CREDENTIALS", {"login_refused": True}),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_key": bool},
        component="{bad_key}",
        message="{bad_key} cannot be a key: one has 1 to 250 characters and no blank.",
        remedy="Correct the objects of {source}/{env}.",
    ),
    Answer("TARGET.OBJECT_MISSING", {"object_missing": True}, message="The key {object} is not in the cache now."),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"read_refused": True},
        message="{address}:{port} refuses to read {object} ({server_said}).",
    ),
)
