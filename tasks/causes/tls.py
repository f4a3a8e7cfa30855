"""The encrypted channel cannot be made, or its other end cannot be trusted."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

#: X509_V_ERR_... of OpenSSL (x509_vfy.h).
_UNTRUSTED = frozenset({2, 18, 19, 20, 21, 24, 27})
_WRONG_NAME = frozenset({62, 64})
_WRONG_PURPOSE = 26
#: Keys of the certificate and of a CA above it that are too short, a digest of a CA that is too weak.
_TOO_WEAK = frozenset({66, 67, 68})
_NO_COMMON_GROUND = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "WRONG_SSL_VERSION",
        "VERSION_TOO_LOW",
        "NO_PROTOCOLS_AVAILABLE",
        "DH_KEY_TOO_SMALL",
        "WRONG_CIPHER_RETURNED",
        "EE_KEY_TOO_SMALL",
        "NO_SHARED_CIPHER",
        "NO_CIPHERS_AVAILABLE",
        "BAD_ECPOINT",
        "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
    }
)
_CLIENT_CERTIFICATE_ALERTS = frozenset({41, 42, 43, 44, 45, 46, 48, 116})

CAUSES = (
    Cause(
        "TLS.REQUIRED",
        State.CONFIG_ERROR,
        Owner.USER,
        "The server refuses plaintext, and the same client gets further over TLS.",
        component="{tls_field}",
        message="{address}:{port} admits {username} over TLS only.",
        remedy="{enable_tls} for {source}/{env}.",
        rules=(
            Rule(
                "greet",
                {"inside_tls": "answers"},
                rank=15,
                component="{address}:{port}",
                message="{address}:{port} speaks TLS from its first byte, and {protocol_title} only inside of it: "
                "something before the server ends TLS, which clients of this type begin later or not at all.",
                remedy="Use the port of the server itself, or let {address}:{port} pass {protocol_title} on as it is.",
            ),
        ),
    ),
    Cause(
        "TLS.NOT_OFFERED",
        State.CONFIG_ERROR,
        Owner.DBA,
        "TLS is configured, and the server says that it has none.",
        component="{address}:{port}",
        message="TLS is configured for {source}, but {address}:{port} does not offer it.",
        remedy="Enable TLS on the server, or {disable_tls} if the network may be trusted.",
        rules=(
            Rule("tls", {"tls_refused": True}, rank=10),
            # A peer that lets the handshake hang, and answers in its own protocol, in clear, to what begins like one.
            Rule("tls", {"not_tls": True, "broken": "silent"}, rank=19),
            Rule("tls", {"not_tls": True}, rank=30),
        ),
    ),
    Cause(
        "TLS.VERSION_OR_CIPHER",
        State.CONFIG_ERROR,
        Owner.DBA,
        "Client and server have no TLS version or cipher in common (alert 40 or 70, or the client's own refusal).",
        component="{address}:{port}",
        message="{address}:{port} and this client have no TLS version or cipher in common ({tls_error}).",
        remedy="Let the server offer TLS 1.2 or newer with a current cipher.",
        rules=(
            Rule("tls", {"tls_error": _NO_COMMON_GROUND}, rank=20),
            Rule("tls", {"alert": frozenset({40, 70, 71, 47})}, rank=30),
            Rule(
                "tls",
                {"verify_code": _TOO_WEAK},
                component="{subject}",
                message="The certificate of {address}:{port} ({subject}), or one above it, is too weak to be trusted "
                "({verify_error}).",
                remedy="Have it reissued with a key of 2048 bits RSA or 256 bits EC at least, signed with SHA-256.",
            ),
        ),
    ),
    Cause(
        "TLS.UNTRUSTED_CA",
        State.CONFIG_ERROR,
        Owner.USER,
        "The certificate's chain does not lead to a CA that the data source trusts (verify codes 18 to 21).",
        component="{issuer}",
        message="The certificate of {address}:{port} is issued by {issuer}, which is not trusted here.",
        remedy="Give the certificate of the CA {issuer} {trust_ca}, if you trust it.",
        rules=(
            Rule("tls", {"verify_code": _UNTRUSTED}),
            Rule(
                "tls",
                {"verify_code": _WRONG_PURPOSE},
                component="{subject}",
                message="The certificate of {address}:{port} ({subject}), or one above it, was not issued for servers "
                "(extendedKeyUsage).",
                remedy="Let the server have one whose extendedKeyUsage contains serverAuth.",
                owner=Owner.DBA,
            ),
            # Whatever else OpenSSL finds wrong with a chain: what a CA may not issue, a CA that is none, a signature.
            Rule(
                "tls",
                {"verify_code": bool},
                rank=55,
                component="{subject}",
                message="The certificate of {address}:{port} ({subject}, issued by {issuer}) is not to be trusted: "
                "{verify_error} (verify code {verify_code}).",
                remedy="Let the server have a certificate that its CA may issue, and send the CA certificates "
                "above it, up to one in {ca_store}.",
                owner=Owner.DBA,
            ),
        ),
    ),
    Cause(
        "TLS.NAME_MISMATCH",
        State.CONFIG_ERROR,
        Owner.USER,
        "The certificate is trusted, but made out to other names than the configured host (verify codes 62, 64).",
        component="{host}",
        message="The certificate of {address}:{port} is made out to {names}, not to {host}.",
        remedy="Use one of the names of the certificate as host ({names}), or let it be reissued for {host}.",
        rules=(
            Rule(
                "tls",
                {"verify_code": _WRONG_NAME, "names": lambda names: not names},
                rank=49,
                message="The certificate of {address}:{port} ({subject}) bears no name (subjectAltName) at all.",
                remedy="Let it be reissued for {host}: a subject alone names nobody any more (RFC 6125).",
            ),
            Rule("tls", {"verify_code": _WRONG_NAME}),
            # unrecognized_name (RFC 6066, section 3): there is no certificate to look at.
            Rule(
                "tls",
                {"alert": 112},
                message="{address}:{port} serves no such name as {host} over TLS: it refuses the handshake that asks "
                "for it (SNI, alert 112).",
                remedy="Use a name that the server is configured for as host, or let it serve {host}.",
            ),
        ),
    ),
    Cause(
        "TLS.EXPIRED",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The certificate's end date has passed (verify code 10); the date and this machine's clock are both told.",
        component="{subject}",
        message="The certificate of {address}:{port} ({subject}) expired at {not_after}; the clock here says {clock}.",
        remedy="Renew the certificate of the server.",
        rules=(
            Rule(
                "tls",
                {"verify_code": 10, "in_time": True},
                rank=49,
                component="{issuer}",
                message="A CA certificate in the chain of {address}:{port} has expired, that of {issuer} or of one "
                "above it; the server's own ({subject}) has not.",
                remedy="Let the server send a chain of valid CA certificates, or renew the expired one in {ca_store}.",
            ),
            Rule("tls", {"verify_code": 10}),
        ),
    ),
    Cause(
        "TLS.NOT_YET_VALID",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The certificate's start date lies ahead (verify code 9); the date and this machine's clock are both told.",
        component="{subject}",
        message="The certificate of {address}:{port} ({subject}) is valid from {not_before}; the clock here says "
        "{clock}.",
        remedy="Wait until {not_before}, have the certificate reissued, or set the clock.",
        rules=(
            Rule(
                "tls",
                {"verify_code": 9, "in_time": True},
                rank=49,
                component="{issuer}",
                message="A CA certificate in the chain of {address}:{port} is not valid yet, that of {issuer} or one "
                "above it; the clock here says {clock}.",
                remedy="Let the server send a chain of valid CA certificates, or set the clock.",
            ),
            Rule("tls", {"verify_code": 9}),
        ),
    ),
    Cause(
        "TLS.CLIENT_CERT",
        State.CONFIG_ERROR,
        Owner.USER,
        "The server demands a client certificate and gets none or one that it does not accept (alerts 42, 116), or the "
        "certificate or key of this data source cannot be read.",
        component="{certificate_field}",
        message="{address}:{port} demands a client certificate that it accepts ({tls_error}).",
        remedy="{give_certificate}.",
        rules=(
            Rule(
                "tls",
                {"bad_file": "keystore_file"},
                rank=10,
                message="The client certificate or its key cannot be read ({tls_error}).",
                remedy="Give keystore_file and key_file in PEM form, fitting each other, and the key's password if "
                "it has one.",
            ),
            Rule(None, {"alert": _CLIENT_CERTIFICATE_ALERTS}, rank=20),
            # A server that answered with its hello has chosen version and cipher: alert 40 is about our certificate.
            Rule("tls", {"alert": 40, "server_hello": True}, rank=20),
        ),
    ),
)
