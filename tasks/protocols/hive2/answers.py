"""Which cause an answer of HiveServer2 asserts (Hive's `ErrorMsg`; SQL states where a server sends no number)."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer

#: SCHEMA_NOT_FOUND and TABLE_OR_VIEW_NOT_FOUND of Spark, 42S02 of ODBC.
_NO_TABLE = frozenset({"42S02", "42P01"})
_NO_DATABASE = frozenset({"42704", "3F000"})
#: Hive's own numbers for a missing privilege.
_DENIED = frozenset({403, 10265, 40000})
_GRANT_DATABASE = "GRANT SELECT ON DATABASE {database_sql} TO USER {username_sql}"
_GRANT_TABLE = "GRANT SELECT ON TABLE {object} TO USER {username_sql}"

ANSWERS: tuple[Answer, ...] = (
    Answer("TLS.REQUIRED", {"over_tls": "answers"}, message="{address}:{port} speaks over TLS only."),
    Answer("TLS.NOT_OFFERED", {"in_clear": "answers"}),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "CONFIG.BAD_VALUE",
        {"without_sasl": True},
        component="properties.auth",
        message="{address}:{port} is a HiveServer2 without any SASL exchange; {source}/{env} begins with one.",
        remedy="Set properties: {{auth: noSasl}} for {source}/{env}.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"wants_sasl": True},
        component="properties.auth",
        message="{address}:{port} asks for a SASL exchange; {source}/{env} is configured for none (auth=noSasl).",
        remedy="Drop auth=noSasl from the properties of {source}/{env}.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"kerberos_refused": "mechanism"},
        component="security_protocol",
        message="{address}:{port} takes no tickets (SASL GSSAPI): it asks for user name and password, most likely.",
        remedy="Set security_protocol: authTypeNone (authTypeSsl over TLS) with login_mode, username and password; or "
        "let the server take Kerberos.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"mechanism_refused": True},
        component="security_protocol",
        message="{address}:{port} takes no user name and password (SASL PLAIN): it asks for Kerberos, most likely.",
        remedy="Set security_protocol: authTypeKerberos with keytab and principal, or let the server take LDAP.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"sasl_status": frozenset({3, 4})}, stage="login"),
    Answer("AUTH.BAD_CREDENTIALS", {"sql_state": frozenset({"28000", "28P01"})}, stage="login"),
    Answer("TARGET.MISSING", {"hive_error": 10072}, stage="target"),
    Answer("TARGET.MISSING", {"sql_state": _NO_DATABASE}, stage="target"),
    Answer(
        "TARGET.NO_CONNECT",
        {"hive_error": _DENIED},
        stage="target",
        remedy="GRANT SELECT ON DATABASE {database_sql} TO USER {username_sql}",
    ),
    Answer("TARGET.NO_CONNECT", {"sql_state": "42501"}, stage="target"),
    Answer("TARGET.OBJECT_MISSING", {"hive_error": frozenset({10001, 10072})}, stage="privilege"),
    Answer("TARGET.OBJECT_MISSING", {"sql_state": _NO_TABLE | _NO_DATABASE}, stage="privilege"),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"hive_error": _DENIED},
        stage="privilege",
        remedy="GRANT SELECT ON TABLE {object} TO USER {username_sql}",
    ),
    Answer("PRIV.OBJECT_DENIED", {"sql_state": "42501"}, stage="privilege"),
    Answer(
        INCONCLUSIVE,
        {"refused": True, "sql_state": "42000"},
        stage="privilege",
        alternatives=("PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"),
        component="{object}",
        message="{address}:{port} refuses to read {object} ({server_said}).",
        remedy="Look at the log of HiveServer2, and have it looked whether {username} may read {object}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_name": bool},
        component="{bad_name}",
        message="{bad_name} cannot be the name of a table or database.",
        remedy="Correct the names in {source}/{env}.",
    ),
)
