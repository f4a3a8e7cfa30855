"""ClickHouse: the JDBC driver, and clickhouse-connect."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read local files"

ALLOWED = AllowList(
    accepted=words("""
        async auto_discovery buffer_size client_name compress compress_algorithm connect_timeout connection_timeout
        continueBatchOnError dataTransferTimeout failover fetchSize
        jdbcCompliant keepAliveTimeout load_balancing_policy max_buffer_size max_execution_time max_result_rows
        max_threads protocol queryTimeout server_time_zone session_id session_timeout socket_timeout ssl sslmode
        timeToLiveMillis use_server_time_zone use_server_time_zone_for_dates use_time_zone
        """),
    patterns={"server_time_zone": r"[a-zA-Z0-9_\-+/:]+", "use_time_zone": r"[a-zA-Z0-9_\-+/:]+"},
    dangerous={
        "sslrootcert": _READS_FILES,
        "sslcert": _READS_FILES,
        "sslkey": _READS_FILES,
        "trust_store": _READS_FILES,
        "key_store": _READS_FILES,
        "custom_socket_factory": "it makes the driver load a class of the caller's choice",
        "custom_socket_factory_options": "it makes the driver load a class of the caller's choice",
        "proxy_host": "it sends the connection elsewhere",
        "proxy_port": "it sends the connection elsewhere",
    },
)
