"""MongoDB: the options of its connection string."""

from registry.parameters import AllowList, words

_READS_FILES = "it makes the driver read local files"
_ELSEWHERE = "it sends the connection elsewhere"

ALLOWED = AllowList(
    accepted=words("""
        appName authMechanism compressors connectTimeoutMS directConnection heartbeatFrequencyMS journal loadBalanced
        localThresholdMS maxConnecting maxIdleTimeMS maxPoolSize maxStalenessSeconds minPoolSize readConcernLevel
        readPreference readPreferenceTags replicaSet retryReads retryWrites serverMonitoringMode
        serverSelectionTimeoutMS serverSelectionTryOnce socketTimeoutMS ssl timeoutMS tls tlsAllowInvalidCertificates
        tlsAllowInvalidHostnames tlsInsecure uuidRepresentation w waitQueueTimeoutMS wtimeoutMS zlibCompressionLevel
        """),
    patterns={
        "appName": r"[\w .:/\[\]\-]{1,128}",
        "compressors": r"[a-z,]+",
        "readPreferenceTags": r"[\w:,.\-]*",
    },
    dangerous={
        "tlsCAFile": "give it as truststore_file",
        "tlsCertificateKeyFile": "give it as keystore_file and key_file",
        "tlsCertificateKeyFilePassword": "give it as keystore_password",
        "tlsCRLFile": _READS_FILES,
        "authMechanismProperties": "it hands credentials of the machine to others",
        "proxyHost": _ELSEWHERE,
        "proxyPort": _ELSEWHERE,
        "proxyUsername": _ELSEWHERE,
        "proxyPassword": _ELSEWHERE,
        "srvServiceName": _ELSEWHERE,
    },
)
