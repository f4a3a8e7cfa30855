"""PostgreSQL: pgJDBC, libpq and the drivers on it."""

from registry.parameters import AllowList, words

_RUNS_CODE = "it makes the driver load a class of the caller's choice"
_READS_FILES = "it makes the driver read or write local files"

ALLOWED = AllowList(
    accepted=words("""
        ApplicationName application_name autoCommit autosave binaryTransfer cancelSignalTimeout charSet
        client_encoding connectTimeout connect_timeout currentSchema defaultRowFetchSize extraFloatDigits
        hostRecheckSeconds keepalives keepalives_count keepalives_idle keepalives_interval kerberosServerName
        loadBalanceHosts load_balance_hosts loginTimeout logUnclosedConnections preferQueryMode prepareThreshold
        readOnly readOnlyMode reWriteBatchedInserts socketTimeout ssl sslmode stringtype targetServerType
        target_session_attrs tcpKeepAlive tcpNoDelay tcp_user_timeout
        """),
    patterns={
        "ApplicationName": r"[\w .:/\[\]\-]{1,64}",
        "application_name": r"[\w .:/\[\]\-]{1,64}",
        "currentSchema": r"[\w$,. \-\"]+",
    },
    dangerous={
        "authenticationPluginClassName": _RUNS_CODE,
        "socketFactory": _RUNS_CODE,
        "socketFactoryArg": _RUNS_CODE,
        "sslfactory": _RUNS_CODE,
        "sslfactoryarg": _RUNS_CODE,
        "sslhostnameverifier": _RUNS_CODE,
        "sslpasswordcallback": _RUNS_CODE,
        "xmlFactoryFactory": _RUNS_CODE,
        "gsslib": _RUNS_CODE,
        "jaasApplicationName": _RUNS_CODE,
        "jaasLogin": _RUNS_CODE,
        "loggerFile": _READS_FILES,
        "loggerLevel": _READS_FILES,
        "passfile": _READS_FILES,
        "service": _READS_FILES,
        "servicefile": _READS_FILES,
        "sslkeylogfile": _READS_FILES,
        "sslcert": "give it as keystore_file",
        "sslkey": "give it as key_file",
        "sslrootcert": "give it as truststore_file",
        "sslpassword": "give it as client_password",
        "sslcrl": _READS_FILES,
        "sslcrldir": _READS_FILES,
        "iniFile": _READS_FILES,
        "host": "it sends the connection elsewhere",
        "hostaddr": "it sends the connection elsewhere",
        "port": "it sends the connection elsewhere",
        "dbname": "it sends the connection elsewhere",
        "PGHOST": "it sends the connection elsewhere",
        "PGPORT": "it sends the connection elsewhere",
        "PGDBNAME": "it sends the connection elsewhere",
        "localSocketAddress": "the network of the resource group decides where connections come from",
    },
)
