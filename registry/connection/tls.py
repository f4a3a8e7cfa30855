"""Which TLS a connection asks for: every ecosystem's own words in one normal form.

The words: `security_protocol` on every type, finer ones in `properties` (libpq's and pgJDBC's `sslmode` and `ssl`;
MySQL Connector/J's `sslMode`, `useSSL`, `requireSSL`, `verifyServerCertificate`; MariaDB Connector/J's `sslMode`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


@dataclass(frozen=True)
class TlsSettings:
    """What the prober does about TLS.

    Attributes:
        mode: libpq's words, which cover the others'. `verify-ca` and `verify-full` without `ca` use the system's store.
        ca: Reference to a bundle of trusted certificates (PEM).
        certificate: Reference to the client's certificate (PEM).
        key: Reference to its private key; None: it stands in the certificate's file.
        key_password: Reference to the password of the private key.
    """

    mode: TlsMode = "disable"
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str | None = None

    @property
    def verifies(self) -> bool:
        """Whether the peer's certificate is checked at all."""
        return self.mode in ("verify-ca", "verify-full")


POSTGRESQL_MODES: Mapping[str, TlsMode] = {
    "disable": "disable",
    "allow": "prefer",  # both accept plaintext; they differ only in which is tried first
    "prefer": "prefer",
    "require": "require",
    "verify-ca": "verify-ca",
    "verify-full": "verify-full",
}

MYSQL_MODES: Mapping[str, TlsMode] = {
    "disabled": "disable",
    "preferred": "prefer",
    "required": "require",
    "verify-ca": "verify-ca",
    "verify-identity": "verify-full",
    # MariaDB Connector/J
    "disable": "disable",
    "trust": "require",
    "verify-full": "verify-full",
}


def postgresql_word(properties: Mapping[str, str]) -> TlsMode | None:
    """The mode that `sslmode` or pgJDBC's `ssl` names, None without either.

    Raises:
        ValueError: A word that nobody knows; guessing would weaken the connection.
    """
    given = _folded(properties)
    if word := given.get("sslmode"):
        return _known(word, POSTGRESQL_MODES, "sslmode")
    if "ssl" in given:
        return "verify-full" if _truth(given["ssl"], "ssl") else "disable"
    return None


def mysql_word(properties: Mapping[str, str]) -> TlsMode | None:
    """The mode that `sslMode` or Connector/J's older switches name, None without any.

    Raises:
        ValueError: A word that nobody knows.
    """
    given = _folded(properties)
    if word := given.get("sslmode"):
        return _known(word.replace("_", "-"), MYSQL_MODES, "sslMode")
    switch = {key: _truth(given[key.lower()], key) for key in _MYSQL_SWITCHES if key.lower() in given}
    if not switch:
        return None
    if switch.get("useSSL") is False:
        return "disable"
    if switch.get("verifyServerCertificate"):
        return "verify-ca"
    return "require" if switch.get("requireSSL") else "prefer"


_MYSQL_SWITCHES = ("useSSL", "requireSSL", "verifyServerCertificate")


_SQLSERVER_WORDS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "mandatory", "strict"), True),
    **dict.fromkeys(("false", "no", "optional"), False),
}


def sqlserver_word(properties: Mapping[str, str]) -> TlsMode | None:
    """The mode that Microsoft's `encrypt` and `trustServerCertificate` name, None without either.

    Raises:
        ValueError: A word that nobody knows.
    """
    given = _folded(properties)
    if "encrypt" not in given:
        return None
    if given["encrypt"] not in _SQLSERVER_WORDS:
        raise ValueError(f"encrypt is none of {', '.join(_SQLSERVER_WORDS)}")
    if not _SQLSERVER_WORDS[given["encrypt"]]:
        return "disable"
    trusted = _truth(given.get("trustservercertificate", "false"), "trustServerCertificate")
    return "require" if trusted and given["encrypt"] != "strict" else "verify-full"


def mongodb_word(properties: Mapping[str, str]) -> TlsMode | None:
    """The mode that `tls` (or `ssl`) and the switches against verification name, None without any.

    Raises:
        ValueError: `tls` and `ssl` differ, or a word that is neither true nor false.
    """
    given = _folded(properties)
    said = {_truth(given[key], key) for key in ("tls", "ssl") if key in given}
    if not said:
        return None
    if len(said) > 1:
        raise ValueError("tls and ssl differ, and mean the same; drop one of the two")
    if not said.pop():
        return "disable"
    switches = {key: _truth(given.get(key.lower(), "false"), key) for key in _MONGODB_SWITCHES}
    if switches["tlsInsecure"] or switches["tlsAllowInvalidCertificates"]:
        return "require"
    return "verify-ca" if switches["tlsAllowInvalidHostnames"] else "verify-full"


_MONGODB_SWITCHES = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")


def switch_word(properties: Mapping[str, str], switch: str, *, on: TlsMode, verify: str = "") -> TlsMode | None:
    """The mode that a switch such as Db2's `sslConnection` or HANA's `encrypt` names, None without it.

    Args:
        on: What the driver does when it is on.
        verify: The switch that takes verification back, where the driver has one.

    Raises:
        ValueError: A word that is neither true nor false.
    """
    given = _folded(properties)
    if switch.lower() not in given:
        return None
    if not _truth(given[switch.lower()], switch):
        return "disable"
    return on if _truth(given.get(verify.lower(), "true"), verify) else "require"


def redis_switches(properties: Mapping[str, str]) -> tuple[bool | None, bool]:
    """Whether `ssl` asks for TLS (None: not said), and whether `verifyServerCertificate` leaves the check on."""
    given = _folded(properties)
    asked = _truth(given["ssl"], "ssl") if "ssl" in given else None
    return asked, _truth(given.get("verifyservercertificate", "true"), "verifyServerCertificate")


def settle(*, asked: bool | None, word: TlsMode | None, files: TlsSettings, default: TlsMode) -> TlsMode:
    """One mode out of everything that was said.

    Args:
        asked: True for authTypeSsl, False for authTypeNone, None where nothing is said.
        word: The finer word of the properties; it wins, but cannot take back what was asked for.
        files: A truststore or client certificate asks for TLS too, where nothing else is said.
        default: The ecosystem's own, where nothing at all is said.

    Raises:
        ValueError: authTypeSsl together with a word for plaintext.
    """
    if asked and word == "disable":
        raise ValueError("security_protocol asks for TLS and the properties switch it off; drop one of the two")
    if word is not None and not (asked and word == "prefer"):
        return word
    if asked or (asked is None and word is None and (files.ca or files.certificate)):
        return "verify-ca" if files.ca else "require"
    return "disable" if asked is False else default


def _folded(properties: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value.strip().lower() for key, value in properties.items()}


def _known(word: str, modes: Mapping[str, TlsMode], key: str) -> TlsMode:
    if word not in modes:
        raise ValueError(f"{key} is none of {', '.join(modes)}")
    return modes[word]


def _truth(word: str, key: str) -> bool:
    if word not in ("true", "false"):
        raise ValueError(f"{key} is neither true nor false")
    return word == "true"
