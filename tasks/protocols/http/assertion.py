"""JSON Web Tokens signed with an RSA key (RFC 7519, RFC 7518 section 3.3), as cloud services take for a login."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tasks.evidence import StageFailed


def private_key(pem: str, password: str | None, field: str) -> rsa.RSAPrivateKey:
    """The RSA key in a PEM text.

    Raises:
        StageFailed: It is none, or has another password.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode(), password.encode() if password else None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise StageFailed(bad_private_key=field)
    return key


def signed(claims: Mapping[str, Any], key: rsa.RSAPrivateKey, **header: str) -> str:
    """The token that makes these claims."""
    parts = [_encoded(json.dumps({"alg": "RS256", "typ": "JWT", **header}).encode())]
    parts.append(_encoded(json.dumps(claims).encode()))
    signature = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, _encoded(signature)])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
