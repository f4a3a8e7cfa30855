"""Which cause an error code of Kafka asserts (Kafka protocol guide, "Error codes")."""

from __future__ import annotations

from tasks.protocols import Answer
from tasks.protocols.advertised import ADVERTISED_ANSWERS

#: What a broker says of a login, about itself or about the advertised one that it was made on.
_LOGIN: tuple[Answer, ...] = (
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"error_code": 33},
        component="sasl_mechanism",
        message="{address}:{port} does not take the SASL mechanism {configured}, but {method}.",
        remedy="Set sasl_mechanism of {source}/{env} to one of: {method}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"error_code": 34},
        component="security_protocol",
        message="The listener {endpoint} has no login (SASL); {source}/{env} is configured for one.",
        remedy="Use the port of the listener with SASL, or set security_protocol to authTypeNone or authTypeSsl.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"error_code": 58}),
    Answer(
        "SERVER.ERROR",
        {"server_proof": "wrong"},
        message="{address}:{port} accepts the login without proving that it knows the password: it may be an impostor.",
        remedy="Do not send data there before the broker's identity is clear; use TLS with a truststore.",
    ),
)

ANSWERS: tuple[Answer, ...] = (
    *_LOGIN,
    *ADVERTISED_ANSWERS,
    Answer(
        "TLS.REQUIRED",
        {"over_tls": "answers"},
        message="{endpoint} is a listener with TLS.",
        remedy="Set security_protocol: authTypeSsl, or authTypeSaslSsl where it also asks for a login.",
    ),
    Answer(
        "TLS.NOT_OFFERED",
        {"in_clear": "answers"},
        message="TLS is configured for {source}, but {endpoint} is a listener without it.",
        remedy="Use the port of the listener with TLS; or set security_protocol authTypeNone or authTypeSaslPlaintext.",
    ),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "PROTO.MISMATCH",
        {"other_version": bool},
        message="{address}:{port} speaks Kafka in versions that this client does not ({other_version}).",
        remedy="Brokers from 0.11 on can be tested: upgrade the broker.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"asks_for_sasl": True},
        component="security_protocol",
        message="The listener {endpoint} serves nobody without a login (SASL: {method}); {source}/{env} has none.",
        remedy="Set security_protocol authTypeSaslPlaintext (authTypeSaslSsl over TLS), sasl_mechanism and an account.",
    ),
    Answer("TARGET.OBJECT_MISSING", {"error_code": 3}, message="There is no topic {object} on this cluster."),
    Answer(
        "CONFIG.BAD_VALUE",
        {"error_code": 17},
        component="{object}",
        message="{object} cannot be the name of a topic.",
        remedy="Correct the name in the objects of {source}/{env}.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"error_code": 29},
        message="{username} may not read the topic {object}.",
        remedy="kafka-acls --add --allow-principal User:{username} --operation Read --topic {object}",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"error_code": 31},
        component="{endpoint}",
        message="{username} may not use this cluster.",
        remedy="Grant {username} Describe on the cluster.",
    ),
    # No leader (5), not the leader (6), coordinator loading (14), not available (15), listener not found (72).
    Answer(
        "SERVER.NOT_READY",
        {"error_code": frozenset({5, 6, 8, 9, 14, 15, 72})},
        message="A partition of {object} has no leader that serves it ({server_said}).",
        remedy="Look at the brokers: one is down or still starting.",
    ),
    Answer("CAPACITY.CONNECTIONS", {"error_code": 89}, remedy="Have the quota of this client raised."),
)
