"""Db2: IBM's JDBC driver."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read or write local files"
_ELSEWHERE = "it sends the connection elsewhere"

ALLOWED = AllowList(
    accepted=words("""
        blockingReadConnectionTimeout connectionTimeout currentSchema fetchSize loginTimeout queryTimeout
        securityMechanism sslConnection
        """),
    dangerous={
        "clientRerouteServerListJNDIName": _ELSEWHERE,
        "clientRerouteAlternateServerName": _ELSEWHERE,
        "clientRerouteAlternatePortNumber": _ELSEWHERE,
        "enableSeamlessFailover": _ELSEWHERE,
        "JNDIName": _ELSEWHERE,
        "pluginClassName": "it makes the driver load a class of the caller's choice",
        "traceFile": _READS_FILES,
        "traceDirectory": _READS_FILES,
        "traceFileAppend": _READS_FILES,
        "traceLevel": _READS_FILES,
        "sslTrustStoreLocation": "give it as truststore_file",
        "sslKeyStoreLocation": "give it as keystore_file",
        "sslCertLocation": "give it as truststore_file",
    },
)
