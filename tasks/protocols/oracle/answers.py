"""Which cause an answer of Oracle asserts: by the number behind ORA- (and TNS-), and by the driver's own."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer, hanging_up
from tasks.protocols.advertised import ADVERTISED_ANSWERS

#: What a listener says of the service, SID or instance that was asked for.
ABOUT_TARGET = frozenset({12504, 12505, 12514, 12521})

ANSWERS = (
    *ADVERTISED_ANSWERS,
    *hanging_up.ANSWERS,
    # A connection manager's rules, a service's list of addresses.
    Answer("ADMIT.ALLOWLIST", {"oracle_error": frozenset({12506, 12529})}),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"oracle_error": frozenset({12516, 12518, 12519, 12520, 12540, 18, 20, 2391})},
        message="{address}:{port} has no process or session left for {username} ({server_said}).",
        remedy="Close idle sessions, or let the DBA raise processes, sessions, or the profile's SESSIONS_PER_USER.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"oracle_error": frozenset({12528, 12526, 12527, 1033, 1034, 1089, 1090, 1109, 27101})},
        message="The instance behind {address}:{port} is starting, stopping, restricted or not open ({server_said}).",
        remedy="Let the DBA look at lsnrctl status and at the instance's state (SELECT status FROM v$instance).",
    ),
    # A database that is down has its services taken off the listener's list: the same answer as to a wrong name.
    Answer(
        INCONCLUSIVE,
        {"oracle_error": frozenset({12505, 12514, 12521})},
        alternatives=("TARGET.MISSING", "SERVER.NOT_READY"),
        component="{service}",
        message="The listener at {address}:{port} knows no service {service} now: the name is wrong, or its database "
        "is not started ({server_said}).",
        remedy="Compare {service} with what lsnrctl services shows on {host}; if it is right there, start the database "
        "or ALTER SYSTEM REGISTER.",
    ),
    Answer("TARGET.MISSING", {"oracle_error": 12504}, component="{service}"),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"oracle_error": 28000},
        message="The account {username} on {address}:{port} is locked.",
        remedy="ALTER USER {username_sql} ACCOUNT UNLOCK;",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"oracle_error": frozenset({28001, 28011})},
        message="The password of {username} on {address}:{port} has expired.",
        remedy="ALTER USER {username_sql} IDENTIFIED BY a new password, and store it in {source}/{env}.",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"oracle_error": 1045},
        message="{username} exists on {address}:{port}, but may not create a session ({server_said}).",
        remedy="GRANT CREATE SESSION TO {username_sql};",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"oracle_error": 1035},
        message="The instance behind {address}:{port} is in restricted mode, and {username} may not log in then.",
        remedy="ALTER SYSTEM DISABLE RESTRICTED SESSION; when the maintenance is over.",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"oracle_error": 28009},
        message="SYS may not log in to {address}:{port} as an ordinary account.",
        remedy="Configure an account of its own for {source}/{env} in place of {username}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"oracle_error": frozenset({1017, 1005, 1004})}),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"oracle_error": frozenset({28040, 12660, 12650, 12649, 12631, 12638})},
        component="sqlnet.ora",
        message="{address}:{port} asks for a way of logging in or of encryption that is not possible here "
        "({server_said}).",
        remedy="Let the DBA look at SQLNET.ALLOWED_LOGON_VERSION_SERVER and SQLNET.ENCRYPTION_SERVER.",
    ),
    # Native network encryption; a password that is kept for clients before Oracle 11 only.
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"driver_error": frozenset({"DPY-3001", "DPY-3015", "DPY-3010"})},
        component="{username}",
        message="{address}:{port} asks {username} for native encryption, or keeps an old kind of password "
        "({server_said}): not possible here.",
        remedy="Use TCPS in place of native network encryption, or set the password anew with a current password "
        "version.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"oracle_error": frozenset({1031, 41900, 28113})},
        stage="privilege",
        remedy="GRANT SELECT ON {object} TO {username_sql};",
    ),
    # Oracle has one answer for both, and tells only those who may look into its dictionary.
    Answer(
        INCONCLUSIVE,
        {"oracle_error": 942},
        stage="privilege",
        alternatives=("TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED"),
        component="{object}",
        message="{username} sees no table or view {object}: it is not there, or may not be read; Oracle does not say "
        "which.",
        remedy="Correct the name {object} (with its schema), or: GRANT SELECT ON {object} TO {username_sql};",
    ),
    Answer("TARGET.OBJECT_MISSING", {"oracle_error": frozenset({4043, 980, 2019, 903})}, stage="privilege"),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"oracle_error": 4063},
        stage="privilege",
        message="The view {object} has errors: something under it is missing or has changed.",
        remedy="ALTER VIEW {object} COMPILE; then look at user_errors.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in, but owns no table and may read none of another schema.",
        remedy="GRANT SELECT ON the tables that are needed TO {username_sql};",
    ),
    Answer(
        "PROBE.DEADLINE",
        {"broken": "silent", "mute": True, "object": bool},
        stage="privilege",
        component="{object}",
        message="{address}:{port} has let {username} in and is still reading {object} when the time ends.",
        remedy="Test with more time: headwater test {source} --timeout 30.",
    ),
)
