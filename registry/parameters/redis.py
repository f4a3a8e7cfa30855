"""Redis: redis-py and the JDBC drivers."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read local files"

ALLOWED = AllowList(
    accepted=words("""
        blockingSocketTimeout clientName client_name connectionTimeout decode_responses encoding health_check_interval
        max_connections protocol socketTimeout socket_connect_timeout socket_keepalive socket_timeout ssl
        verifyServerCertificate
        """),
    dangerous={
        "ssl_ca_certs": "give it as truststore_file",
        "ssl_ca_path": _READS_FILES,
        "ssl_ca_data": "give it as truststore_file",
        "ssl_certfile": "give it as keystore_file",
        "ssl_keyfile": "give it as key_file",
        "ssl_password": "give it as keystore_password",
        "connection_class": "it makes the driver load a class of the caller's choice",
        "credential_provider": "it makes the driver load a class of the caller's choice",
        "host": "it sends the connection elsewhere",
        "port": "it sends the connection elsewhere",
        "path": "it sends the connection elsewhere",
    },
)
