"""DM: its JDBC driver."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read or write local files"

ALLOWED = AllowList(
    accepted=words("""
        appName clobAsString columnNameUpperCase connectTimeout escapeProcess loginMode schema sessionTimeout
        socketTimeout
        """),
    dangerous={
        "logDir": _READS_FILES,
        "logLevel": _READS_FILES,
        "sslFilesPath": _READS_FILES,
        "sslKeystorePass": _READS_FILES,
        "statDir": _READS_FILES,
        "host": "it sends the connection elsewhere",
        "port": "it sends the connection elsewhere",
    },
)
