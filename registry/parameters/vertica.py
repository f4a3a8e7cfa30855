"""Vertica: its JDBC driver."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read local files"
_RUNS_CODE = "it makes the driver load a class of the caller's choice"

ALLOWED = AllowList(
    accepted=words("""
        AutoCommit ConnectionLoadBalance Label LoginTimeout LoginNetworkTimeout ReadOnly ResultBufferSize SearchPath
        TLSmode TransactionIsolation Workload
        """),
    patterns={"SearchPath": r"[\w$\", ]+", "Label": r"[\w .:/\-]{1,64}"},
    dangerous={
        "BackupServerNode": "it sends the connection elsewhere",
        "JAASConfigName": _RUNS_CODE,
        "KeyStorePath": _READS_FILES,
        "TrustStorePath": _READS_FILES,
        "LogPath": "it makes the driver write local files",
        "LogLevel": "it makes the driver write local files",
        "LogNameSpace": "it makes the driver write local files",
    },
)
