"""SAP HANA: its JDBC driver."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read or write local files"
_ELSEWHERE = "it sends the connection elsewhere"

ALLOWED = AllowList(
    accepted=words("""
        autocommit communicationTimeout compress connectTimeout currentSchema encrypt hostNameInCertificate isolation
        locale packetSize reconnect statementCacheSize validateCertificate
        """),
    patterns={"hostNameInCertificate": r"[a-zA-Z0-9.*\-]+"},
    dangerous={
        "keyStore": _READS_FILES,
        "keyStorePassword": "give it as keystore_password",
        "trustStore": "give it as truststore_file",
        "trustStorePassword": "give it as truststore_password",
        "traceFile": _READS_FILES,
        "traceOptions": _READS_FILES,
        "key": "it takes credentials from a store of the machine",
        "proxyHostname": _ELSEWHERE,
        "proxyPort": _ELSEWHERE,
        "siteType": _ELSEWHERE,
    },
)
