"""Which cause an answer of MongoDB asserts: by its error code, and by what a second look found."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer, hanging_up
from tasks.protocols.advertised import ADVERTISED_ANSWERS

USER_NOT_FOUND, UNAUTHORIZED, AUTHENTICATION_FAILED, COMMAND_NOT_FOUND = 11, 13, 18, 59
#: Stopping, stepping down, recovering, in no state to be read.
_NOT_READY = frozenset({91, 94, 189, 11600, 11602, 13436})
_NOT_PRIMARY = frozenset({10058, 10107, 13435})
#: MongoDB Atlas has one code of its own for what its proxies refuse.
_ATLAS = 8000

ANSWERS = (
    *ADVERTISED_ANSWERS,
    *hanging_up.ANSWERS,
    Answer(
        "CONFIG.BAD_VALUE",
        {"wrong_set": True},
        component="replicaSet",
        message="{address}:{port} belongs to the replica set {replica_set}, not to {wanted_set}.",
        remedy="Set the property replicaSet of {source}/{env} to {replica_set}, or correct the address.",
    ),
    Answer(
        "SERVER.WRONG_ROLE",
        {"role": "arbiter"},
        message="{address}:{port} is an arbiter of {replica_set}: it holds no data.",
        remedy="Configure the addresses of the members that hold data.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"role": frozenset({"none", "no primary"})},
        message="{address}:{port} is neither primary nor secondary now, or its replica set has no primary.",
        remedy="Let the DBA look at rs.status() on {address}:{port}.",
    ),
    Answer(
        "SERVER.WRONG_ROLE",
        {"wrong_role": True},
        message="{address}:{port} is a secondary, and the data source reads from the primary alone.",
        remedy="Configure the address of the primary, or readPreference: secondaryPreferred.",
    ),
    Answer("SERVER.NOT_READY", {"mongodb_code": _NOT_READY}),
    Answer("SERVER.WRONG_ROLE", {"mongodb_code": _NOT_PRIMARY}),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"mongodb_code": frozenset({AUTHENTICATION_FAILED, _ATLAS}), "no_password": True},
        stage="login",
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"mongodb_code": frozenset({AUTHENTICATION_FAILED, _ATLAS})},
        stage="login",
        message="{address}:{port} does not accept {username}: the password is wrong, or there is no such user in the "
        "authentication database.",
        remedy="Correct the user name or the password of {source}/{env}; then auth_db: the database in which the user "
        "was created, usually admin.",
    ),
    Answer("AUTH.USER_UNKNOWN", {"mongodb_code": USER_NOT_FOUND}, stage="login"),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"needs_privacy": True},
        message="{method} sends the password itself, which is not done without TLS.",
        remedy="{enable_tls} for {source}/{env}.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    # MechanismUnavailable; before 4.4 a mechanism that is not enabled is BadValue.
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"mongodb_code": frozenset({334, 2})},
        stage="login",
        component="authMechanism",
        message="{address}:{port} does not offer {username} the configured way of authentication ({server_said}).",
        remedy="Set the property authMechanism of {source}/{env} to one that the server has enabled.",
    ),
    Answer("TARGET.MISSING", {"database_missing": True, "may_know": True}),
    # Who may neither list nor read a database is not told whether it is there.
    Answer(
        INCONCLUSIVE,
        {"database_missing": True},
        alternatives=("TARGET.NO_CONNECT", "TARGET.MISSING"),
        component="{database}",
        message="{username} has no right on {database} on {address}:{port}, and is not told whether it exists.",
        remedy="Correct the name of the database; or let the DBA grant it: db.grantRolesToUser('{username}', "
        "[{{role: 'read', db: '{database}'}}]).",
    ),
    Answer("TARGET.OBJECT_MISSING", {"object_missing": True}),
    Answer("TARGET.OBJECT_MISSING", {"mongodb_code": 26}, stage="privilege"),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"mongodb_code": UNAUTHORIZED},
        stage="privilege",
        remedy="db.grantRolesToUser('{username}', [{{role: 'read', db: '{database}'}}]), or a role that may find in "
        "{object} alone.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in, but may not read a single collection of {database}.",
        remedy="db.grantRolesToUser('{username}', [{{role: 'read', db: '{database}'}}]).",
    ),
    Answer(
        "SERVER.ERROR",
        {"server_proof": "wrong"},
        message="{address}:{port} accepts the login without proving that it knows the password: it may be an impostor.",
        remedy="Do not send data there before the server's identity is clear; use TLS with a truststore.",
    ),
)
