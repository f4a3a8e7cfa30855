"""MySQL: Connector/J and MariaDB Connector/J, and what Python's drivers add."""

from registry.parameters import AllowList, words

_RUNS_CODE = "it makes the driver load a class of the caller's choice"
_READS_FILES = "it makes the driver read local files"

ALLOWED = AllowList(
    accepted=words("""
        allowMultiQueries allowPublicKeyRetrieval autoReconnect autoReconnectForPools cachePrepStmts characterEncoding
        characterset connectTimeout connectionCollation createDatabaseIfNotExist defaultFetchSize
        dontTrackOpenResources enabledTLSProtocols failOverReadOnly generateSimpleParameterMetadata initialTimeout
        maxAllowedPacket maxReconnects netTimeoutForStreamingResults noAccessToProcedureBodies
        nullCatalogMeansCurrent requireSSL rewriteBatchedStatements serverTimezone sessionVariables socketTimeout
        sslMode tinyInt1isBit transformedBitIsBoolean unicode useAffectedRows useCompression useConfigs useCursorFetch
        useInformationSchema useJDBCCompliantTimezoneShift useLegacyDatetimeCode useLocalSessionState
        useLocalTransactionState useOldAliasMetadataBehavior useSSL useServerPrepStmts useTimezone useUnicode
        verifyServerCertificate yearIsDateType zeroDateTimeBehavior
        """),
    patterns={
        "serverTimezone": r"[a-zA-Z0-9_\-+/:]+",
        "sessionVariables": r"[a-zA-Z0-9_@.,=+\-:' ]+",
        "enabledTLSProtocols": r"[a-zA-Z0-9.,]+",
    },
    forced={
        "allowLoadLocalInfile": "false",
        "allowUrlInLocalInfile": "false",
        "allowLocalInfile": "false",
        "autoDeserialize": "false",
    },
    dangerous={
        "allowLoadLocalInfileInPath": _READS_FILES,
        "allow_local_infile": _READS_FILES,
        "allow_local_infile_in_path": _READS_FILES,
        "local_infile": _READS_FILES,
        "read_default_file": _READS_FILES,
        "read_default_group": _READS_FILES,
        "option_files": _READS_FILES,
        "option_groups": _READS_FILES,
        "serverRSAPublicKeyFile": _READS_FILES,
        "trustCertificateKeyStoreUrl": _READS_FILES,
        "clientCertificateKeyStoreUrl": _READS_FILES,
        "serverSslCert": _READS_FILES,
        "keyStore": _READS_FILES,
        "trustStore": _READS_FILES,
        "ssl": "give certificates as truststore_file, keystore_file and key_file",
        "ssl_ca": "give it as truststore_file",
        "ssl_capath": _READS_FILES,
        "ssl_cert": "give it as keystore_file",
        "ssl_key": "give it as key_file",
        "plugin_dir": _RUNS_CODE,
        "init_command": "it runs statements of the caller's choice at every connect",
        "authenticationPlugins": _RUNS_CODE,
        "clientInfoProvider": _RUNS_CODE,
        "connectionLifecycleInterceptors": _RUNS_CODE,
        "credentialType": _RUNS_CODE,
        "customCharsetMapping": _RUNS_CODE,
        "defaultAuthenticationPlugin": _RUNS_CODE,
        "detectCustomCollations": _RUNS_CODE,
        "disabledAuthenticationPlugins": _RUNS_CODE,
        "exceptionInterceptors": _RUNS_CODE,
        "loadBalanceConnectionGroup": _RUNS_CODE,
        "loadBalanceExceptionChecker": _RUNS_CODE,
        "ha.loadBalanceStrategy": _RUNS_CODE,
        "loadBalanceStrategy": _RUNS_CODE,
        "logger": _RUNS_CODE,
        "parseInfoCacheFactory": _RUNS_CODE,
        "profilerEventHandler": _RUNS_CODE,
        "propertiesTransform": _RUNS_CODE,
        "queryInfoCacheFactory": _RUNS_CODE,
        "queryInterceptors": _RUNS_CODE,
        "serverAffinityOrder": "it names hosts beside those of the address",
        "serverConfigCacheFactory": _RUNS_CODE,
        "socketFactory": _RUNS_CODE,
        "socksProxyHost": "it sends the connection elsewhere",
        "socksProxyPort": "it sends the connection elsewhere",
        "statementInterceptors": _RUNS_CODE,
    },
)
