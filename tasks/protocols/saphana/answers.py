"""Which cause an answer of HANA asserts: by the number of its error ("SAP HANA SQL Error Codes")."""

from __future__ import annotations

from tasks.protocols import Answer, hanging_up

INSUFFICIENT_PRIVILEGE = 258

ANSWERS = (
    *hanging_up.ANSWERS,
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer("AUTH.BAD_CREDENTIALS", {"hana_error": frozenset({10, 332})}),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"hana_error": frozenset({414, 416, 417})},
        message="{username} on {address}:{port} must change its password first, or is locked ({server_said}).",
        remedy="ALTER USER {username_sql} PASSWORD ...; or ALTER USER {username_sql} RESET CONNECT ATTEMPTS;",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"hana_error": 415},
        message="{username} on {address}:{port} is deactivated.",
        remedy="ALTER USER {username_sql} ACTIVATE USER NOW;",
    ),
    Answer(
        "TARGET.MISSING",
        {"database_missing": True},
        message="{address}:{port} is the SQL port of another database than {database}.",
        remedy="Correct the port: each tenant has its own (SELECT * FROM SYS_DATABASES.M_SERVICES); or the name.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"hana_error": INSUFFICIENT_PRIVILEGE},
        stage="privilege",
        remedy="GRANT SELECT ON {object} TO {username_sql};",
    ),
    Answer("TARGET.OBJECT_MISSING", {"hana_error": frozenset({259, 362, 397})}, stage="privilege"),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in, but owns no table and was granted none.",
        remedy="GRANT SELECT ON SCHEMA, or ON the tables that are needed, TO {username_sql};",
    ),
)
