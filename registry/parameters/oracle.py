"""Oracle: the thin JDBC driver, and what python-oracledb adds."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read local files"

ALLOWED = AllowList(
    accepted=words("""
        oracle.jdbc.ReadTimeout oracle.net.CONNECT_TIMEOUT oracle.net.networkCompression
        oracle.net.networkCompressionThreshold
        """),
    dangerous={
        "TNS_ADMIN": _READS_FILES,
        "oracle.net.tns_admin": _READS_FILES,
        "oracle.net.wallet_location": _READS_FILES,
        "oracle.net.ssl_url": _READS_FILES,
        "javax.net.ssl.keyStore": _READS_FILES,
        "javax.net.ssl.keyStoreType": _READS_FILES,
        "javax.net.ssl.trustStore": _READS_FILES,
        "javax.net.ssl.trustStoreType": _READS_FILES,
        "config_dir": _READS_FILES,
        "wallet_location": _READS_FILES,
        "externalauth": "it logs in as the account that runs the client",
        "oracle.net.httpsProxyHost": "it sends the connection elsewhere",
    },
)
