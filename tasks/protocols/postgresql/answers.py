"""Which cause an answer of a PostgreSQL server asserts.

SQLSTATE and the server's routine decide, never its words. Source of the codes: PostgreSQL documentation, appendix
"PostgreSQL Error Codes"; of the routines: `src/backend/libpq/auth.c`, `src/backend/utils/init/`.
"""

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer

_INVALID = {"sqlstate": "28000"}
_UNDECIDED = frozenset({"tls failed", "no answer"})
_ADMITTED_OVER_TLS = {"routine": "ClientAuthentication", "over_tls": False, "other_way": "admitted"}

ANSWERS = (
    # It has just offered TLS: what comes instead is something in between that does not pass it on.
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer("TLS.REQUIRED", {**_INVALID, **_ADMITTED_OVER_TLS}, stage="admit"),
    # Over TLS, another server might have answered.
    Answer(
        INCONCLUSIVE,
        {**_INVALID, "routine": "ClientAuthentication", "over_tls": False, "servers_differ": True},
        stage="admit",
        alternatives=("TLS.REQUIRED", "ADMIT.ALLOWLIST"),
        component="{source_address}",
        message="{address}:{port} refuses {source_address} without TLS.",
        remedy="Compare their pg_hba.conf (host and hostssl lines for {source_cidr}), and whether each offers TLS.",
    ),
    Answer(
        INCONCLUSIVE,
        {**_INVALID, "routine": "ClientAuthentication", "over_tls": False, "other_way": _UNDECIDED},
        stage="admit",
        alternatives=("TLS.REQUIRED", "ADMIT.ALLOWLIST"),
        component="{source_address}",
        message="{address}:{port} refuses {source_address} without TLS, and over TLS nothing can be learned "
        "({other_way}).",
        remedy="Enable TLS with the files that the server demands and test again: only then the two causes part.",
    ),
    Answer(
        INCONCLUSIVE,
        {**_INVALID, "routine": "ClientAuthentication", "certificate_asked": True},
        stage="admit",
        alternatives=("ADMIT.ALLOWLIST", "TLS.CLIENT_CERT"),
        component="{source_address}",
        message="{address}:{port} refuses {username} from {source_address} over TLS, and asks clients for a "
        "certificate, which {source}/{env} has not.",
        remedy="Give the client's certificate and key as keystore_file and key_file and test again; if that is "
        "refused too, let the DBA add {source_cidr} to pg_hba.conf.",
    ),
    Answer(
        "ADMIT.ALLOWLIST",
        {**_INVALID, "routine": "ClientAuthentication", "over_tls": True, "other_way": "admitted"},
        stage="admit",
        message="{address}:{port} admits {username} from {source_address} without TLS only.",
        remedy="Change hostnossl to host or hostssl in pg_hba.conf, or set sslmode=disable for {source}/{env}.",
    ),
    Answer(
        "ADMIT.ALLOWLIST",
        {**_INVALID, "routine": "ClientAuthentication", "over_tls": True},
        message="{address}:{port} has no pg_hba.conf entry that lets {username} from {source_address} into "
        "{database} over TLS.",
        remedy="Add to pg_hba.conf: hostssl {database} {username} {source_cidr} scram-sha-256 (for a cloud "
        "instance: add {source_cidr} to its allowlist), then reload.",
    ),
    Answer(
        "ADMIT.ALLOWLIST",
        {**_INVALID, "routine": "ClientAuthentication"},
        message="{address}:{port} has no pg_hba.conf entry that lets {username} from {source_address} into {database}.",
        remedy="Add to pg_hba.conf: host {database} {username} {source_cidr} scram-sha-256 (for a cloud "
        "instance: add {source_cidr} to its allowlist), then reload.",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {**_INVALID, "routine": "InitializeSessionUserId", "password_proved": True},
        remedy="ALTER ROLE {username_sql} LOGIN;",
    ),
    # Without a password exchange the server answers an unknown role and one that may not log in alike.
    Answer(
        INCONCLUSIVE,
        {**_INVALID, "routine": "InitializeSessionUserId"},
        alternatives=("AUTH.USER_UNKNOWN", "AUTH.LOGIN_FORBIDDEN"),
        component="{username}",
        message="The role {username} does not exist on {address}:{port}, or may not log in.",
        remedy="Ask the server: SELECT rolcanlogin FROM pg_roles WHERE rolname = '{username}'; then CREATE ROLE "
        "or ALTER ROLE {username_sql} LOGIN.",
    ),
    # Refused before a password was asked for: by the operating system's user, an ident server, a certificate.
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {**_INVALID, "routine": "auth_failed"},
        stage="admit",
        component="pg_hba.conf",
        message="{address}:{port} knows {username} by something else than a password (peer, ident or a "
        "certificate), and what it sees does not fit.",
        remedy="Let the DBA look at the pg_hba.conf entry for {username} and its user name map, or allow "
        "scram-sha-256 there.",
    ),
    # Whoever is logged in already: a view or a foreign table passes on what happens beneath it.
    Answer(
        "SERVER.ERROR",
        {"sqlstate_class": "28"},
        stage="privilege",
        component="{object}",
        message="{username} is logged in to {address}:{port}, and {object} cannot be read: something beneath it is "
        "refused a login ({server_said}).",
        remedy="Let the DBA look at what {object} reads from: the user mapping of a foreign server, a connection of "
        "dblink, a function.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"sqlstate_class": "28"}),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"server_proof": "wrong"},
        component="{method}",
        message="{address}:{port} could not prove that it is the server that {username} trusts: it may be an impostor.",
        remedy="Find out which server answers at {address}:{port} before trusting it.",
    ),
    Answer(
        "TARGET.MISSING",
        {"sqlstate": "3D000"},
        remedy="Correct the name of the database, or: CREATE DATABASE {database_sql};",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"sqlstate": "42501"},
        stage="target",
        remedy="GRANT CONNECT ON DATABASE {database_sql} TO {username_sql};",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"sqlstate": "42501"},
        stage="login",
        remedy="GRANT CONNECT ON DATABASE {database_sql} TO {username_sql};",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"sqlstate": "55000", "routine": "CheckMyDatabase"},
        message="The database {database} on {address}:{port} does not accept connections.",
        remedy="ALTER DATABASE {database_sql} ALLOW_CONNECTIONS true;",
    ),
    Answer("CAPACITY.CONNECTIONS", {"sqlstate": "53300"}),
    Answer("SERVER.NOT_READY", {"sqlstate": frozenset({"57P01", "57P02", "57P03"})}),
    # A name that the database's encoding cannot write is nobody's there.
    Answer("TARGET.OBJECT_MISSING", {"sqlstate": frozenset({"42P01", "3F000", "22P05"})}, stage="privilege"),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"sqlstate": "42501", "grants": bool},
        stage="privilege",
        message="{username} may not read {object}: it lacks {lacks}.",
        remedy="{grants}",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"sqlstate": "42501"},
        stage="privilege",
        remedy="GRANT SELECT ON {object} TO {username_sql}; if it is a view, its owner needs that on what it reads "
        "from.",
    ),
    Answer(
        "PROBE.DEADLINE",
        {"broken": "silent", "mute": True, "object": bool},
        stage="privilege",
        component="{object}",
        message="{address}:{port} has let {username} in and is still reading {object} after {silent_ms} ms: another "
        "session locks it, or it is a view that takes long.",
        remedy="Let the DBA look for a lock: SELECT * FROM pg_locks WHERE NOT granted; or test with more time: "
        "headwater test {source} --timeout 30.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in to {database}, but may not read a single table in it.",
        remedy="GRANT SELECT ON ALL TABLES IN SCHEMA public TO {username_sql}; or bind the tables that are needed.",
    ),
    Answer("SERVER.WRONG_ROLE", {"wrong_role": True}),
)
