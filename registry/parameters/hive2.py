"""HiveServer2: the JDBC driver's session variables."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read local files"

ALLOWED = AllowList(
    accepted=words("""
        auth fetchSize hive.server2.proxy.user httpPath initialDelay principal retries retryInterval saslQop
        socketTimeout ssl transportMode
        """),
    patterns={
        "httpPath": r"[A-Za-z0-9_\-./]+",
        "hive.server2.proxy.user": r"[A-Za-z0-9_\-.@]+",
        "principal": r"[A-Za-z0-9_\-.]+/[A-Za-z0-9_\-.]+(?:@[A-Za-z0-9_\-.]+)?",
    },
    dangerous={
        "sslTrustStore": _READS_FILES,
        "sslKeyStore": _READS_FILES,
        "initFile": "it makes the driver run statements of a local file",
        "zooKeeperNamespace": "it sends the connection elsewhere",
        "serviceDiscoveryMode": "it sends the connection elsewhere",
    },
)
