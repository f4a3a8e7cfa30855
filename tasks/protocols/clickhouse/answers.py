"""Which cause an error code of ClickHouse asserts (ErrorCodes.cpp)."""

from __future__ import annotations

from tasks.protocols import Answer
from tasks.protocols.http.rest import STATUS_ANSWERS, TRANSPORT_ANSWERS


def _denied(code: str, stage: str, on: str) -> tuple[Answer, ...]:
    """Without a right: servers before 20.4 have no access control by SQL, only `allow_databases` in their files."""
    when = {"error_code": frozenset({291, 497})}
    in_files = "Let the DBA add {database} to allow_databases of {username} in users.xml"
    return (
        Answer(
            code,
            {**when, "access_by_sql": True},
            stage=stage,
            remedy=f"GRANT SELECT ON {on} TO {{username_sql}}; where the account stands in users.xml, its "
            "allow_databases or grants there have to let it in.",
        ),
        Answer(code, when, stage=stage, remedy=f"{in_files}."),
    )


ANSWERS: tuple[Answer, ...] = (
    Answer(
        "PROTO.MISMATCH",
        {"http_there": True},
        message="{address}:{port} speaks HTTP, not ClickHouse's native protocol.",
        remedy="Use the port of the native protocol (9000, over TLS 9440); or drop protocol from the properties.",
    ),
    Answer(
        "TLS.NOT_OFFERED",
        {"in_clear": "answers"},
        remedy="Use the server's TLS port (8443, natively 9440); or {disable_tls}.",
    ),
    *TRANSPORT_ANSWERS,
    Answer(
        "PROTO.MISMATCH",
        {"wrong_interface": bool},
        message="{address}:{port} is ClickHouse, but speaks {wrong_interface} there, not {wanted}.",
        remedy="Use the port of the HTTP interface (8123, over TLS 8443); or set properties: {{protocol: tcp}}.",
    ),
    Answer(
        "AUTH.USER_UNKNOWN",
        {"error_code": 192},
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"error_code": frozenset({193, 194})}),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"error_code": 516},
        remedy="Correct the user name or the password of {source}/{env}; servers from 20.x on say the same of a client "
        "address that the account is not allowed from: then let it in from {source_cidr}.",
    ),
    Answer(
        "ADMIT.ALLOWLIST",
        {"error_code": 195},
        message="{address}:{port} does not let {username} in from {source_address}.",
        remedy="Add {source_cidr} to the networks of {username} on the server.",
    ),
    Answer("TARGET.MISSING", {"error_code": 81}, stage="target"),
    *_denied("TARGET.NO_CONNECT", "target", "{database_sql}.*"),
    Answer("TARGET.OBJECT_MISSING", {"error_code": frozenset({60, 81})}, stage="privilege"),
    *_denied("PRIV.OBJECT_DENIED", "privilege", "{table_sql}"),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_name": bool},
        component="{bad_name}",
        message="{bad_name} cannot be the name of a table.",
        remedy="Correct the objects of {source}/{env}.",
    ),
    # TOO_MANY_SIMULTANEOUS_QUERIES, QUOTA_EXPIRED, MEMORY_LIMIT_EXCEEDED.
    Answer(
        "CAPACITY.CONNECTIONS",
        {"error_code": frozenset({201, 202, 241})},
        message="{address}:{port} is at a limit of its own ({server_said}).",
    ),
    *STATUS_ANSWERS,
)
