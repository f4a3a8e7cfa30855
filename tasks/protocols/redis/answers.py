"""Which cause an error word of Redis asserts."""

from __future__ import annotations

from tasks.protocols import Answer

ANSWERS: tuple[Answer, ...] = (
    Answer("TLS.REQUIRED", {"over_tls": "answers"}, stage="greet"),
    Answer("TLS.NOT_OFFERED", {"not_tls": True, "looks_like": "Redis"}, stage="tls"),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "ADMIT.ALLOWLIST",
        {"error_word": "DENIED"},
        message="{address}:{port} runs in protected mode and admits no client from {source_address}.",
        remedy="Set a password on the server (requirepass) and bind its address; or set protected-mode no behind a "
        "firewall that lets {source_cidr} in.",
    ),
    # ApsaraDB's list: it answers any command of a client that it does not know with its address.
    Answer("ADMIT.ALLOWLIST", {"illegal_address": True}),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"error_word": "ERR", "unasked": True},
        stage="admit",
        message="{address}:{port} turns every new client away before its first word: its client limit is reached.",
        remedy="Close idle clients (CLIENT LIST), or raise maxclients: CONFIG SET maxclients N.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks for a password, and {source}/{env} has none.",
        remedy="Set password (and username, for an ACL user) for {source}/{env}.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"error_word": frozenset({"WRONGPASS", "ERR"})},
        stage="login",
        message="{address}:{port} does not accept the credentials of {username}: wrong, unknown or switched off.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"renamed": bool},
        component="{renamed}",
        message="{address}:{port} does not know the command {renamed}: it has been renamed or switched off there.",
        remedy="Take rename-command {renamed} out of redis.conf, and use ACL rules to forbid commands.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}, remedy="Leave out username for {source}/{env}."),
    Answer(
        "PROTO.MISMATCH",
        {"sentinel": True},
        message="{address}:{port} is a Redis Sentinel: it tells where the server is and holds no data.",
        remedy="Use the address of the server that it watches ({masters}), or of what stands before it and follows a "
        "failover.",
    ),
    Answer(
        "TARGET.MISSING",
        {"database_missing": True},
        message="{address}:{port} has no database {database}.",
        remedy="Correct the number, or raise databases in redis.conf (a cluster has database 0 alone).",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"error_word": "NOPERM"},
        stage="target",
        remedy="ACL SETUSER {username} +select",
    ),
    Answer("TARGET.OBJECT_MISSING", {"object_missing": True}),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"error_word": "NOPERM", "object": "any key"},
        stage="privilege",
        message="{username} may not list keys on {address}:{port}; no keys are bound, and it may not read just any.",
        remedy="ACL SETUSER {username} +@read ~PREFIX:*, or bind the keys that it may read as objects.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"error_word": "NOPERM"},
        stage="privilege",
        remedy="ACL SETUSER {username} +@read %R~{object}",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} may read none of the {keys_looked_at} keys looked at on {address}:{port}.",
        remedy="ACL SETUSER {username} +@read ~PREFIX:*, or bind the keys that it may read as objects.",
    ),
    Answer("SERVER.NOT_READY", {"error_word": frozenset({"LOADING", "MASTERDOWN", "BUSY", "CLUSTERDOWN", "TRYAGAIN"})}),
)
