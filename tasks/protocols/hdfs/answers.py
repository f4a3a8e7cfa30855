"""Which cause an exception of a NameNode asserts, by its class."""

from __future__ import annotations

from tasks.protocols import Answer
from tasks.protocols.advertised import ADVERTISED_ANSWERS

ANSWERS: tuple[Answer, ...] = (
    *ADVERTISED_ANSWERS,
    Answer(
        "SERVER.WRONG_ROLE",
        {"exception": frozenset({"StandbyException", "ObserverRetryOnActiveException"})},
        message="{address}:{port} is a standby NameNode, which serves no client.",
        remedy="Configure the name service with all its NameNodes (dfs.ha.namenodes...), or the active one.",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"no_kerberos": True},
        component="kerberos_file_keytab",
        message="{address}:{port} takes no tickets: it offers {method}.",
        remedy="Drop kerberos_file_conf and kerberos_file_keytab of {source}/{env}, or let the cluster take Kerberos.",
    ),
    Answer(
        "AUTH.LOGIN_FORBIDDEN",
        {"exception": frozenset({"AccessControlException", "AuthorizationException"}), "authenticated": True},
        stage="login",
        component="{principal}",
        message="{address}:{port} has verified {principal}, and does not let it in ({server_said}).",
        remedy="Let the owner of the cluster allow it (hadoop-policy.xml, security.client.protocol.acl).",
    ),
    Answer(
        "AUTH.METHOD_UNSUPPORTED",
        {"exception": "AccessControlException", "fatal": True},
        component="kerberos_file_keytab",
        message="{address}:{port} serves nobody without Kerberos; {source}/{env} has no keytab.",
        remedy="Set kerberos_file_keytab, kerberos_file_conf and principal for {source}/{env}.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"exception": "AccessControlException"},
        remedy="hdfs dfs -setfacl -m user:{username}:r-x {object}",
    ),
    *(
        Answer("TARGET.OBJECT_MISSING", when, message="{object} is not in the file system.")
        for when in ({"object_missing": True}, {"exception": "FileNotFoundException", "object": bool})
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"exception": frozenset({"InvalidPathException", "IllegalArgumentException"})},
        component="{object}",
        message="{object} cannot be a path of HDFS.",
        remedy="Correct the objects of {source}/{env}.",
    ),
    Answer(
        "SERVER.NOT_READY",
        {"exception": frozenset({"RetriableException", "SafeModeException", "ServerNotReadyException"})},
    ),
    Answer(
        "PROTO.MISMATCH",
        {"exception": frozenset({"VersionMismatch", "RpcNoSuchProtocolException", "RPC$VersionMismatch"})},
        message="{address}:{port} speaks Hadoop RPC, but is no NameNode of this version ({exception}).",
        remedy="Correct the port: NameNodes usually listen on 8020 or 9000.",
    ),
)
