"""Which cause an answer of MySQL asserts: by its error number, and by what a second look found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer

ACCESS_DENIED, ACCESS_DENIED_NO_PASSWORD, DATABASE_DENIED = 1045, 1698, 1044

_DENIED: Mapping[str, Any] = {"mysql_error": ACCESS_DENIED}

#: A user without its host part is user@'%', which may be somebody else, or nobody: GRANT then even makes it.
_ACCOUNT = "Let the DBA look for the account's host (SELECT user, host FROM mysql.user WHERE user = {username_sql})"

_DATABASE = "{database_sql}.*"


def _granted(code: str, when: Mapping[str, Any], on: str, more: str = "", **row: Any) -> tuple[Answer, Answer]:
    """A row whose remedy is a GRANT: to the account as the server knows it, or, unknown, to what has to be looked for.

    Args:
        on: What is to be read, as SQL.
        more: What follows in the remedy.
    """
    return (
        Answer(code, {**when, "account": bool}, remedy=f"GRANT SELECT ON {on} TO {{account}};{more}", **row),
        Answer(code, when, remedy=f"{_ACCOUNT} and grant that user@host SELECT ON {on};{more}", **row),
    )


ANSWERS = (
    Answer(
        "ADMIT.ALLOWLIST",
        {"mysql_error": 1130},
        message="{address}:{port} has no account that clients from {source_address} may use.",
        remedy="Let the DBA make an account for {username_sql} with a password and with a host that covers "
        "{source_address} (headwater allowlist {source} tells the statement for a whole group; for a cloud instance: "
        "add {source_cidr} to its allowlist).",
    ),
    # Before the greeting nobody has named a user: an access denied (28000) there can be meant for the address alone.
    # So do ApsaraDB and its proxies refuse who is not in their list.
    Answer("ADMIT.ALLOWLIST", {"sqlstate": "28000"}, stage="admit"),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"mysql_error": 1129},
        component="{source_address}",
        message="{address}:{port} has blocked {source_address} after too many interrupted connections.",
        remedy="FLUSH HOSTS (MySQL 8: TRUNCATE performance_schema.host_cache); then find what breaks off connections, "
        "or raise max_connect_errors.",
    ),
    Answer("CAPACITY.CONNECTIONS", {"mysql_error": frozenset({1040, 1203, 1226})}),
    # Server shutdown, connection killed by it, offline mode; a Galera node that is not in sync takes no command.
    Answer("SERVER.NOT_READY", {"mysql_error": frozenset({1053, 1927, 3032, 1047})}),
    # MariaDB denies a view whose definer is gone, or may not read what is under it, as it denies a login.
    Answer(
        "PRIV.OBJECT_DENIED",
        {**_DENIED},
        stage="privilege",
        message="The view {object} cannot be read: its definer is not there, or may not read what is under it.",
        remedy="Let the DBA look at SHOW CREATE VIEW {object}: its definer must exist and read the tables under it.",
    ),
    Answer("TLS.REQUIRED", {"mysql_error": 3159}),
    Answer("TLS.REQUIRED", {**_DENIED, "over_tls_too": "further"}, stage="login"),
    Answer(
        INCONCLUSIVE,
        {**_DENIED, "over_tls_too": "tls failed"},
        stage="login",
        alternatives=("AUTH.BAD_CREDENTIALS", "TLS.REQUIRED"),
        component="{username}",
        message="{address}:{port} refuses {username} without TLS, and its TLS handshake fails.",
        remedy="Enable TLS with the files that the server demands and test again: only then the two causes part.",
    ),
    Answer(
        "TLS.CLIENT_CERT",
        {**_DENIED, "password_proved": True, "over_tls": True},
        stage="login",
        message="{address}:{port} has confirmed the password of {username} and refuses the login: the account demands "
        "a client certificate (REQUIRE X509, SUBJECT or ISSUER).",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {**_DENIED, "no_password": True},
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {**_DENIED},
        message="{address}:{port} does not accept {username} from {source_address}: the password is wrong, the user "
        "unknown, its host part excludes this address, or it demands a client certificate; the server does not say "
        "which.",
        remedy="Correct the user name or the password of {source}/{env}; else let the DBA look at SELECT user, host, "
        "ssl_type FROM mysql.user WHERE user = {username_sql}: the host must cover {source_address}, and ssl_type X509 "
        "or SPECIFIED demands keystore_file and key_file.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"mysql_error": ACCESS_DENIED_NO_PASSWORD, "on_socket": True},
        message="{address} lets {username} in only as the operating system's user of that name.",
        remedy="Run as the operating system's user {username}, or give the account a password.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"mysql_error": ACCESS_DENIED_NO_PASSWORD, "method": "unix_socket"},
        message="{address}:{port} asks {username} for no password at all: the account is for {method} on the server "
        "itself.",
        remedy=f"{_ACCOUNT} and give that user@host a password (ALTER USER ... IDENTIFIED BY), or use another account.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"mysql_error": ACCESS_DENIED_NO_PASSWORD}),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"needs_privacy": True},
        message="{address}:{port} asks {username} to authenticate by {method}, which sends the password itself: not "
        "without TLS.",
        remedy="{enable_tls}; on a network that may be trusted, allowPublicKeyRetrieval: true does as well.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"mysql_error": frozenset({1251, 1275, 1524})},
        component="{username}",
        message="{address}:{port} cannot authenticate {username} ({server_said}): the account's method is an old one, "
        "or its plugin is not loaded.",
        remedy=f"{_ACCOUNT} and give that user@host a current method (ALTER USER ... IDENTIFIED VIA or WITH), or load "
        "the plugin on the server.",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"mysql_error": frozenset({1820, 1862})},
        message="The password of {username} on {address}:{port} has expired.",
        remedy=f"{_ACCOUNT} and give that user@host a new password (ALTER USER ... IDENTIFIED BY); then store it in "
        "{source}/{env}.",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"mysql_error": frozenset({3118, 3955, 4150, 4151})},
        message="The account {username} on {address}:{port} is locked ({server_said}).",
        remedy=f"{_ACCOUNT} and unlock that user@host: ALTER USER ... ACCOUNT UNLOCK;",
    ),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"mysql_error": frozenset({1049, 1102, 1103, 1146})},
        stage="privilege",
    ),
    Answer(
        "TARGET.MISSING",
        {"mysql_error": 1049},
        remedy="Correct the name of the database, or: CREATE DATABASE {database_sql};",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"mysql_error": 1102},
        component="database",
        message="{database} can be no name of a database on {address}:{port}.",
        remedy="Correct database of {source}/{env}: at most 64 characters, none of them a blank at the end.",
    ),
    Answer("TARGET.MISSING", {"mysql_error": DATABASE_DENIED, "there": "no"}, stage="target"),
    *_granted("TARGET.NO_CONNECT", {"mysql_error": DATABASE_DENIED, "there": "yes"}, _DATABASE, stage="target"),
    # Whoever has no right on a database is not told whether it is there.
    *_granted(
        INCONCLUSIVE,
        {"mysql_error": DATABASE_DENIED},
        _DATABASE,
        " if it is not there (SHOW DATABASES LIKE '{database}'), correct its name.",
        stage="target",
        alternatives=("TARGET.NO_CONNECT", "TARGET.MISSING"),
        component="{database}",
        message="{username} may not enter {database} on {address}:{port}, and is not told whether it exists (it may "
        "enter: {databases_visible}).",
    ),
    *_granted(
        "PRIV.OBJECT_DENIED",
        {"mysql_error": frozenset({1044, 1142, 1143})},
        "{table_sql}",
        " if it is there: the server does not tell.",
        stage="privilege",
    ),
    Answer(
        INCONCLUSIVE,
        {"mysql_error": frozenset({1356, 1449})},
        stage="privilege",
        alternatives=("PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"),
        component="{object}",
        message="The view {object} cannot be read: something under it is missing, or its definer may not read it.",
        remedy="Let the DBA look at SHOW CREATE VIEW {object}: its tables must exist, and its definer may read them.",
    ),
    Answer(
        "PROBE.DEADLINE",
        {"broken": "silent", "mute": True, "object": bool},
        stage="privilege",
        component="{object}",
        message="{address}:{port} has let {username} in and is still reading {object} after {silent_ms} ms: another "
        "session locks it, or it is a view that takes long.",
        remedy="Let the DBA look at SHOW FULL PROCESSLIST for a lock; or test with more time: headwater test {source} "
        "--timeout 30.",
    ),
    *_granted(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        _DATABASE,
        " or bind the tables that are needed.",
        message="{username} is logged in to {database}, but may not read a single table in it.",
    ),
    Answer("SERVER.WRONG_ROLE", {"wrong_role": True}),
)
