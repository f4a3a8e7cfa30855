"""Which cause an answer of SQL Server asserts: by its error number, and by what a second look found."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer
from tasks.protocols.advertised import ADVERTISED_ANSWERS

#: The login was accepted, and the database that it names was not opened.
CANNOT_OPEN = frozenset({4060, 4063, 4064, 911, 916, 922, 927, 942, 945, 948, 976, 978, 983})
#: Refusals whose text holds the client's address as the server sees it.
NAMES_CLIENT = frozenset({40615, 40914, 47073})

_NOT_ONLINE = frozenset({"OFFLINE", "RESTORING", "RECOVERING", "RECOVERY_PENDING", "SUSPECT", "EMERGENCY"})

ANSWERS = (
    *ADVERTISED_ANSWERS,
    Answer("TLS.REQUIRED", {"tls_demanded": True}),
    Answer("TLS.REQUIRED", {"mssql_error": 17835}),
    Answer("TLS.REQUIRED", {"over_tls_too": "further"}, stage="login"),
    # Azure SQL Database: a firewall rule, a rule for virtual networks, public access switched off.
    Answer(
        "ADMIT.ALLOWLIST",
        {"mssql_error": NAMES_CLIENT},
        remedy="Add {source_cidr} (or the CIDR of the vSwitch of {resource_group}) to the firewall rules of the "
        "server.",
    ),
    # User connections, resources of the service's tier, licences.
    Answer(
        "CAPACITY.CONNECTIONS",
        {"mssql_error": frozenset({17300, 17809, 17810, 10928, 10929, 18458, 18459, 18460})},
    ),
    # Upgrading its scripts, paused, stopping, for one administrator alone; a database that is moved or resumed.
    Answer(
        "SERVER.NOT_READY",
        {"mssql_error": frozenset({18401, 18451, 18461, 17142, 17148, 6005, 40613, 40197, 40501, 42109})},
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"mssql_error": frozenset({18452, 18450})},
        component="{username}",
        message="{address}:{port} takes Windows accounts only, or {username} is one: a login with a password is "
        "refused ({server_said}).",
        remedy="Let the DBA allow SQL Server authentication (mixed mode), or configure a login of SQL Server.",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"mssql_error": frozenset({18470, 17892})},
        message="The login {username} on {address}:{port} is disabled, or a logon trigger refuses it ({server_said}).",
        remedy="ALTER LOGIN {username_sql} ENABLE; or let the DBA look at the logon triggers.",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"mssql_error": 18486},
        message="The login {username} on {address}:{port} is locked out.",
        remedy="ALTER LOGIN {username_sql} WITH PASSWORD = '...' UNLOCK;",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"mssql_error": frozenset({18487, 18488})},
        message="The password of {username} on {address}:{port} has expired, or must be changed before it is used.",
        remedy="ALTER LOGIN {username_sql} WITH PASSWORD = '...'; and store the new password in {source}/{env}.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"mssql_error": 18456},
        message="{address}:{port} does not accept {username}: the password is wrong, the login unknown, or it may not "
        "connect here; the server tells which in its own error log only (state {error_state} is what it tells us).",
        remedy="Correct the user name or the password of {source}/{env}; else let the DBA look for error 18456 in the "
        "server's error log: the state there says why.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"database_status": _NOT_ONLINE},
        stage="target",
        component="{database}",
        message="The database {database} on {address}:{port} is not online ({database_status}).",
        remedy="Let the DBA bring {database} online; look at the server's error log if it stays {database_status}.",
    ),
    Answer(
        "SERVER.WRONG_ROLE",
        {"mssql_error": 978},
        stage="target",
        message="{database} on {address}:{port} is a secondary replica that lets in readers alone who say so.",
        remedy="Configure the listener of the availability group, or the property ApplicationIntent: ReadOnly.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"mssql_error": frozenset({922, 927, 942, 945, 976, 983})},
        stage="target",
        component="{database}",
        message="The database {database} on {address}:{port} is not online ({server_said}).",
        remedy="Let the DBA bring {database} online.",
    ),
    Answer("TARGET.MISSING", {"mssql_error": CANNOT_OPEN, "there": "no"}, stage="target"),
    Answer("TARGET.MISSING", {"mssql_error": 911}, stage="target"),
    Answer(
        "TARGET.NO_CONNECT",
        {"mssql_error": CANNOT_OPEN, "there": "yes"},
        stage="target",
        remedy="In {database}: CREATE USER {username_sql} FOR LOGIN {username_sql}; ALTER ROLE db_datareader ADD "
        "MEMBER {username_sql};",
    ),
    Answer("TARGET.NO_CONNECT", {"mssql_error": 916}, stage="target"),
    # Only who may log in without a database is told whether this one is there.
    Answer(
        INCONCLUSIVE,
        {"mssql_error": CANNOT_OPEN},
        stage="target",
        alternatives=("TARGET.MISSING", "TARGET.NO_CONNECT"),
        component="{database}",
        message="{address}:{port} does not open {database} for {username}, and does not say whether it exists.",
        remedy="Correct the name of the database; or let the DBA look at sys.databases, and create a user for "
        "{username} in {database}.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"mssql_error": frozenset({229, 230, 262, 297, 300, 916})},
        stage="privilege",
        remedy="GRANT SELECT ON {object} TO {username_sql};",
    ),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"mssql_errors": lambda numbers: 4413 in (numbers or ())},
        stage="privilege",
        message="The view {object} cannot be read: something under it is missing ({server_said}).",
        remedy="Let the DBA look at the definition of {object}: what it names must exist.",
    ),
    Answer("TARGET.OBJECT_MISSING", {"mssql_error": frozenset({208, 911, 7202, 4104})}, stage="privilege"),
    Answer(
        "PROBE.DEADLINE",
        {"broken": "silent", "mute": True, "object": bool},
        stage="privilege",
        component="{object}",
        message="{address}:{port} has let {username} in and is still reading {object} after {silent_ms} ms: another "
        "session locks it.",
        remedy="Let the DBA look at sys.dm_tran_locks; or test with more time: headwater test {source} --timeout 30.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in to {database}, but may not read a single table in it.",
        remedy="ALTER ROLE db_datareader ADD MEMBER {username_sql}; or bind the tables that are needed.",
    ),
    Answer("SERVER.WRONG_ROLE", {"wrong_role": True}),
)
