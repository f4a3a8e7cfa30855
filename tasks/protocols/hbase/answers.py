"""Which cause an answer of ZooKeeper, or what HBase keeps in it, asserts."""

from __future__ import annotations

from tasks.protocols import Answer
from tasks.protocols.advertised import ADVERTISED_ANSWERS

ANSWERS: tuple[Answer, ...] = (
    *ADVERTISED_ANSWERS,
    Answer(
        "SERVER.NOT_READY",
        {"no_quorum": True},
        message="{address}:{port} is up, but its ensemble has no quorum: it serves nobody.",
        remedy="Start the other members of the ensemble; look at their logs.",
    ),
    Answer("SERVER.NOT_READY", {"session_refused": True}, message="{address}:{port} gives no session."),
    Answer(
        "TARGET.MISSING",
        {"zk_error": -101},
        component="{znode}",
        message="{address}:{port} has no znode {znode}; at its root are: {others}.",
        remedy="Set zookeeper.znode.parent in hbase_config of {source}/{env} to that of the cluster.",
    ),
    Answer(
        "TARGET.NO_CONNECT",
        {"zk_error": -102},
        component="{znode}",
        message="{znode} on {address}:{port} may not be read by this client.",
        remedy="Let the ACL of {znode} allow it; HBase itself leaves it readable for all.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"not_running": True},
        component="{znode}",
        message="ZooKeeper answers, but neither a master nor a region server of HBase is registered under {znode}.",
        remedy="Start HBase, or correct zookeeper.znode.parent in hbase_config of {source}/{env}.",
    ),
    Answer(
        "PROTO.MISMATCH",
        {"unreadable": True},
        component="{znode}",
        message="What {znode} on {address}:{port} holds is no record of HBase's.",
        remedy="Correct zookeeper.znode.parent in hbase_config of {source}/{env}.",
    ),
    # A session closed for want of a login, and a login refused.
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"zk_error": frozenset({-124, -115})},
        component="security_protocol",
        message="{address}:{port} serves nobody without a login by Kerberos; {source}/{env} has none.",
        remedy="Set security_protocol: authTypeKerberos, kerberos_file_conf, kerberos_file_keytab and principal for "
        "{source}/{env}.",
    ),
)
