"""Which cause a status and an error type of Elasticsearch assert."""

from __future__ import annotations

from tasks.protocols import Answer
from tasks.protocols.http.rest import STATUS_ANSWERS, TRANSPORT_ANSWERS

ANSWERS: tuple[Answer, ...] = (
    *TRANSPORT_ANSWERS,
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"http_status": 401, "configured": "none"},
        component="auth_enable",
        message="{address}:{port} asks for a login, and {source}/{env} has none.",
        remedy="Set auth_enable: enable with username and password for {source}/{env}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"http_status": 401}),
    Answer("TARGET.OBJECT_MISSING", {"object_missing": True}, message="There is no index {object} in the cluster."),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"error_type": "index_not_found_exception"},
        message="There is no index {object} in the cluster.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"no_shards": True},
        component="{object}",
        message="No shard of {object} can be searched: the index is red.",
        remedy="Look at the cluster: GET _cluster/allocation/explain.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {
            "error_type": frozenset(
                {"cluster_block_exception", "master_not_discovered_exception", "no_shard_available_action_exception"}
                | {"search_phase_execution_exception", "unavailable_shards_exception"}
            ),
            "http_class": 5,
        },
        message="{address}:{port} is up, but the cluster cannot serve ({error_type}).",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"error_type": frozenset({"index_closed_exception", "cluster_block_exception"})},
        stage="privilege",
        message="{object} is closed or blocked for reading ({error_type}).",
        remedy="POST /{object}/_open, or lift the block in the settings of the index.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"http_status": 403},
        stage="privilege",
        remedy="Give a role of {username} the privilege read on {object}.",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"error_type": "invalid_index_name_exception"},
        component="{object}",
        message="{object} cannot be the name of an index.",
        remedy="Correct the objects of {source}/{env}.",
    ),
    Answer(
        "CAPACITY.CONNECTIONS",
        {"error_type": frozenset({"circuit_breaking_exception", "es_rejected_execution_exception"})},
    ),
    *STATUS_ANSWERS,
)
