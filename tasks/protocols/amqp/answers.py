"""Which cause a reply code of AMQP asserts (AMQP 0-9-1, "Constants")."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer

ANSWERS: tuple[Answer, ...] = (
    Answer(
        "TLS.REQUIRED",
        {"over_tls": "answers"},
        message="{address}:{port} speaks AMQP over TLS only.",
    ),
    Answer("TLS.NOT_OFFERED", {"not_tls": True, "looks_like": "AMQP"}, stage="tls"),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "PROTO.MISMATCH",
        {"other_version": bool},
        message="{address}:{port} speaks AMQP, but another version of it ({other_version}) than 0-9-1.",
        remedy="Have the broker speak AMQP 0-9-1 on this port, as RabbitMQ does on 5672.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer(
        INCONCLUSIVE,
        {"reply_code": 403, "guest": True},
        stage="login",
        alternatives=("AUTH.BAD_CREDENTIALS", "AUTH.LOGIN_FORBIDDEN"),
        component="{username}",
        message="{address}:{port} does not let guest in: the password is wrong, or guest may log in locally only, as "
        "RabbitMQ has it unless told otherwise.",
        remedy="Create an account for {source}/{env} on the broker: rabbitmqctl add_user NAME.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"reply_code": 403}, stage="login"),
    Answer(
        "TARGET.MISSING",
        {"reply_code": frozenset({402, 530}), "refusal": "missing"},
        component="{virtual_host}",
        message="{address}:{port} has no virtual host {virtual_host}.",
        remedy="Correct virtual_host of {source}/{env}, or have it created: rabbitmqctl add_vhost {virtual_host}.",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"reply_code": 530, "refusal": "denied"},
        component="{virtual_host}",
        message="{username} may not enter the virtual host {virtual_host} on {address}:{port}.",
        remedy="rabbitmqctl set_permissions -p {virtual_host} {username} '' '' '.*'",
    ),
    Answer("CAPACITY.CONNECTIONS", {"reply_code": 530, "refusal": "limit"}),
    Answer(
        INCONCLUSIVE,
        {"reply_code": frozenset({402, 530})},
        alternatives=("TARGET.MISSING", "TARGET.NO_CONNECT"),
        component="{virtual_host}",
        message="{address}:{port} refuses the virtual host {virtual_host} ({server_said}).",
        remedy="Have the broker's administrator look whether {virtual_host} exists and {username} may enter it.",
    ),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"reply_code": 404},
        stage="privilege",
        message="There is no queue {object} in the virtual host of {source}/{env}.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"reply_code": 403},
        stage="privilege",
        message="{username} may not read the queue {object}.",
        remedy="rabbitmqctl set_permissions: add {object} to what {username} may read.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"reply_code": 405},
        stage="privilege",
        message="The queue {object} is exclusive to another connection; nobody else may read it.",
        remedy="Have the queue declared without exclusive, or bind another one.",
    ),
    Answer("SERVER.NOT_READY", {"reply_code": 320}),
    Answer("CAPACITY.CONNECTIONS", {"reply_code": 506}),
)
