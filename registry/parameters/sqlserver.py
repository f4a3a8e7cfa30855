"""SQL Server: Microsoft's JDBC driver, and what pyodbc adds."""

from registry.parameters import AllowList, words

_RUNS_CODE = "it makes the driver load a class or library of the caller's choice"
_READS_FILES = "it makes the driver read local files"

ALLOWED = AllowList(
    accepted=words("""
        ApplicationIntent ApplicationName database databaseName encrypt failoverPartner hostNameInCertificate
        instanceName language loginTimeout multiSubnetFailover queryTimeout schemaName sendStringParametersAsUnicode
        socketTimeout trustServerCertificate
        """),
    patterns={"ApplicationName": r"[\w .:/\[\]\-]{1,64}", "hostNameInCertificate": r"[a-zA-Z0-9.*\-]+"},
    dangerous={
        "jaasApplicationName": _RUNS_CODE,
        "jaasConfigurationName": _RUNS_CODE,
        "socketFactoryClass": _RUNS_CODE,
        "socketFactoryConstructorArg": _RUNS_CODE,
        "trustManagerClass": _RUNS_CODE,
        "trustManagerConstructorArg": _RUNS_CODE,
        "accessTokenCallbackClass": _RUNS_CODE,
        "Driver": _RUNS_CODE,
        "FileDSN": _READS_FILES,
        "trustStore": _READS_FILES,
        "clientCertificate": _READS_FILES,
        "clientKey": _READS_FILES,
        "keyStoreLocation": _READS_FILES,
        "serverCertificate": _READS_FILES,
        "serverName": "it sends the connection elsewhere",
        "portNumber": "it sends the connection elsewhere",
        "serverSpn": "it sends the connection elsewhere",
    },
)
