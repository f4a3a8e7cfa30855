"""The server's side of SASL's GSSAPI, as Cyrus SASL and MIT Kerberos have it (libsasl2 with its module gssapi)."""

from __future__ import annotations

import ctypes
import os

_OK, _CONTINUE = 0, 1
_SECURITY_PROPERTIES = 101


class _Properties(ctypes.Structure):
    """sasl_security_properties_t."""

    _fields_ = (
        ("min_ssf", ctypes.c_uint), ("max_ssf", ctypes.c_uint), ("maxbufsize", ctypes.c_uint),
        ("security_flags", ctypes.c_uint), ("property_names", ctypes.c_void_p), ("property_values", ctypes.c_void_p),
    )  # fmt: skip


class Acceptor:
    """One login.

    Args:
        service, host: The name of its principal.
        keytab: Where its key is.
        layer: Whether a security layer is demanded.
    """

    def __init__(self, service: str, host: str, keytab: str, *, layer: bool = False) -> None:
        os.environ["KRB5_KTNAME"] = keytab
        self._library = ctypes.CDLL("libsasl2.so.2")
        self._context = ctypes.c_void_p()
        self._begun = False
        assert self._library.sasl_server_init(None, b"headwater-lab") == _OK
        made = self._library.sasl_server_new(
            service.encode(), host.encode(), None, None, None, None, 0, ctypes.byref(self._context)
        )
        assert made == _OK
        wanted = _Properties(min_ssf=1 if layer else 0, max_ssf=256 if layer else 0, maxbufsize=65536)
        assert self._library.sasl_setprop(self._context, _SECURITY_PROPERTIES, ctypes.byref(wanted)) == _OK

    def step(self, token: bytes) -> tuple[bool, bytes] | None:
        """Whether the login is complete, and the next token; None for a refusal."""
        answer, size = ctypes.c_char_p(), ctypes.c_uint()
        out = (ctypes.byref(answer), ctypes.byref(size))
        if self._begun:
            result = self._library.sasl_server_step(self._context, token, len(token), *out)
        else:
            self._begun = True
            result = self._library.sasl_server_start(self._context, b"GSSAPI", token, len(token), *out)
        if result not in (_OK, _CONTINUE):
            return None
        said = ctypes.string_at(answer, size.value) if size.value else b""
        return result == _OK, said
