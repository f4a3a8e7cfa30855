"""Which cause an answer of Db2 asserts: by DRDA's security check code and replies, and by SQLSTATE."""

from __future__ import annotations

from tasks.protocols import Answer, hanging_up

#: No such table, view or schema; Derby's own words for the same begin with 42X05 and 42Y07.
NO_SUCH_NAME = frozenset({"42704", "42705", "42X05", "42Y07", "42710"})
#: Not authorised to an object or an operation; Derby has 42500 and 42502.
NOT_READABLE = frozenset({"42500", "42501", "42502", "42504", "42519"})

ANSWERS = (
    *hanging_up.ANSWERS,
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"secchkcd": frozenset({0x01, 0x17})},
        component="{username}",
        message="{address}:{port} does not take a user name and password in clear ({server_said}).",
        remedy="Let the DBA set AUTHENTICATION to SERVER, with TLS on its port.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"secchkcd": bool, "no_password": True},
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"secchkcd": 0x0E},
        message="The password of {username} on {address}:{port} has expired.",
        remedy="Set a new password for {username}, and store it in {source}/{env}.",
    ),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"secchkcd": 0x14},
        message="The account {username} on {address}:{port} has been revoked.",
        remedy="Let the administrator of the operating system or directory unlock {username}.",
    ),
    # Invalid password, invalid user, either missing: many servers give the first for all of them.
    Answer("AUTH.BAD_CREDENTIALS", {"secchkcd": frozenset({0x0F, 0x10, 0x12, 0x13, 0x15})}),
    Answer("TARGET.MISSING", {"drda_reply": "RDBNFNRM"}),
    Answer(
        "TARGET.NO_CONNECT",
        {"drda_reply": "RDBATHRM"},
        remedy="GRANT CONNECT ON DATABASE TO USER {username_sql};",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"drda_reply": "RDBAFLRM", "sqlstate": frozenset({"42501", "42502", "08004"})},
        remedy="GRANT CONNECT ON DATABASE TO USER {username_sql};",
    ),
    # Not activated, quiesced, being backed up or restored, stopping.
    Answer(
        "SERVER.NOT_READY",
        {"sqlstate": frozenset({"55032", "57019", "57020", "57021", "57033", "57046", "57047", "55025", "57009"})},
    ),
    Answer("CAPACITY.CONNECTIONS", {"sqlstate": frozenset({"57030", "54021", "57040"})}),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"sqlstate": NOT_READABLE},
        stage="privilege",
        remedy="GRANT SELECT ON {object} TO USER {username_sql};",
    ),
    Answer("TARGET.OBJECT_MISSING", {"sqlstate": NO_SUCH_NAME}, stage="privilege"),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"sqlstate": "51002"},
        stage="privilege",
        component="NULLID.SYSSH200",
        message="{address}:{port} has no package NULLID.SYSSH200, in which every client's statements run.",
        remedy="Let the DBA bind the packages of the clients: db2 bind @db2cli.lst blocking all grant public.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in to {database}, but may not read a single table in it.",
        remedy="GRANT SELECT ON the tables that are needed TO USER {username_sql}; or bind those that it may read.",
    ),
)
