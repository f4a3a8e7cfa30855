"""The kinds of field that connection models are put together from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from registry import allowlists
from registry.urls.normal import is_socket, normal_database, normal_host, refuse_invisible

#: Where the value of a secret comes from. A literal never stands in a model: it is encrypted first and becomes
#: `stored:ID`.
REFERENCE_SCHEMES = ("env", "file", "prefect", "vault", "stored", "certificate")
#: Those of them whose values lie in the registry itself.
KEPT_HERE = ("stored:", "certificate:")
#: What DataWorks' documents say of an uploaded file: its id alone.
_FILE_ID = re.compile(r"[0-9]{1,20}|[0-9a-f]{32}")


@dataclass(frozen=True)
class Sensitive:
    """Marks a field whose text is a reference to something that must not be shown: a ``secret`` or a ``file``."""

    kind: Literal["secret", "file"]


def is_reference(value: object) -> bool:
    """Whether this is `scheme:rest` with a known scheme and something after it."""
    if not isinstance(value, str):
        return False
    scheme, _, rest = value.partition(":")
    return scheme in REFERENCE_SCHEMES and bool(rest.strip())


def _reference(value: str) -> str:
    if not is_reference(value):
        # The value may be a password typed in the wrong place: it must not be repeated.
        raise ValueError(
            "a literal secret is not accepted here (value not shown); "
            'use a reference such as "env:ORDERS_PASSWORD" or "file:/run/secrets/orders"'
        )
    return value


def _secret(value: str) -> str:
    if value.startswith("certificate:"):
        raise ValueError("a secret is no file; certificate: stands where a certificate, key or keytab does")
    return _reference(value)


def file_reference(value: Any) -> Any:
    """`certificate:ID` for the bare id of an uploaded file; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return f"certificate:{value}" if isinstance(value, str) and _FILE_ID.fullmatch(value) else value


#: A reference to a secret: `env:NAME`, `file:PATH`, `prefect:BLOCK-SLUG/NAME[.FIELD]`, `vault:PATH#FIELD`, `stored:ID`.
SecretReference = Annotated[str, AfterValidator(_secret), Sensitive("secret")]

#: A certificate, key or keytab: `file:PATH` (PEM), or `certificate:ID` or `certificate:NAME` of a file kept here.
FileReference = Annotated[str, BeforeValidator(file_reference), AfterValidator(_reference), Sensitive("file")]


def sensitivity(annotation: Any, metadata: list[Any]) -> Sensitive | None:
    """The mark of a field, however deep in its annotation (`SecretReference | None` included)."""
    return next((mark for mark in _marks(annotation, metadata) if isinstance(mark, Sensitive)), None)


def _marks(annotation: Any, metadata: list[Any]) -> Iterator[Any]:
    yield from metadata
    for part in get_args(annotation):
        yield part
        yield from _marks(part, [])


def spelled(*words: str) -> BeforeValidator:
    """Accepts the words in any case and gives DataWorks' spelling; PostgreSQL's pages capitalise `AuthTypeNone`."""
    known = {word.casefold(): word for word in words}

    def respell(value: Any) -> Any:
        return known.get(value.strip().casefold(), value) if isinstance(value, str) else value

    return BeforeValidator(respell)


def from_json(given: Any, needed: str) -> Any:
    """What a text holds as JSON, as DataWorks keeps mappings; anything but a text as it is.

    Raises:
        ValueError: The text is no JSON; says what is `needed`.
    """
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError(needed) from None


#: Whether the transport is encrypted (most types).
TransportSecurity = Annotated[
    Literal["authTypeNone", "authTypeSsl"],
    spelled("authTypeNone", "authTypeSsl"),
]

#: The files of TLS and their passwords, under DataWorks' names; each may be missing.
TrustedBundle = Annotated[
    FileReference | None,
    Field(description="Bundle of trusted certificates (PEM).", examples=["file:/etc/headwater/ca.pem"]),
]
OwnBundle = Annotated[
    FileReference | None,
    Field(
        description="Bundle of trusted certificates (PEM) in place of the system's.",
        examples=["file:/etc/headwater/ca.pem"],
    ),
]
TruststorePassword = Annotated[
    SecretReference | None,
    Field(description="Password of the truststore; a PEM bundle has none.", examples=["env:TRUSTSTORE_PASSWORD"]),
]
ClientCertificate = Annotated[
    FileReference | None,
    Field(description="Client certificate (PEM).", examples=["file:/etc/headwater/client.pem"]),
]
ClientKey = Annotated[
    FileReference | None,
    Field(
        description="Private key of the client certificate (PEM), unless it stands in the certificate's file.",
        examples=["file:/etc/headwater/client.key"],
    ),
]
ClientKeyPassword = Annotated[
    SecretReference | None,
    Field(description="Password of the client's private key.", examples=["env:KEYSTORE_PASSWORD"]),
]

#: Who logs in.
AccountName = Annotated[str, Field(min_length=1, max_length=255, description="Account that logs in.", examples=["app"])]
AccountPassword = Annotated[
    SecretReference | None, Field(description="Its password.", examples=["env:ORDERS_PASSWORD"])
]

#: Which of the identities of a kind (`auth_type`) reads a service of the cloud.
CloudIdentity = Annotated[
    str | None,
    Field(description="Id of the sub-account or role that `auth_type` names.", examples=["3000001"]),
]

Port = Annotated[int, Field(ge=1, le=65535)]


def _checked(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(check)


Host = Annotated[str, Field(min_length=1, max_length=255), _checked(normal_host)]


def _no_socket(host: str) -> str:
    if is_socket(host):
        raise ValueError("this protocol has no Unix sockets; a host is a name or an IP address")
    return host


NetworkHost = Annotated[Host, _checked(_no_socket)]
DatabaseName = Annotated[str, Field(min_length=1, max_length=255), _checked(normal_database)]

#: A name that its server takes quoted, with any character in it.
QuotedName = Annotated[str, Field(min_length=1, max_length=255), _checked(refuse_invisible)]


class Endpoint(BaseModel):
    """One host and port.

    A host that starts with `/` is a Unix socket: its directory as in libpq for PostgreSQL, its path for MySQL and
    Redis. Where an entry leaves out the port of a socket, the type's default port stands in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Host = Field(description="Host name, IP address, or the path of a Unix socket.", examples=["db.example.com"])
    port: Port = Field(description="Port, 1 to 65535.", examples=[5432])


def _entries(value: Any) -> Any:
    """One text with commas is a list too."""
    return allowlists.split(value) if isinstance(value, str) else value


def _entry(text: str) -> str:
    allowlists.parse(text)
    return text


#: The entries of a server's allowlist: addresses, CIDRs and ranges, as `registry.allowlists` reads them. Each is
#: checked in its own place, so that all faults of a list are told.
AllowlistEntries = Annotated[
    tuple[Annotated[str, AfterValidator(_entry)], ...], BeforeValidator(_entries), AfterValidator(allowlists.split)
]


def as_list(value: Any) -> Any:
    """One address where a list of them is meant."""
    return [value] if isinstance(value, dict) else value


#: DataWorks' `address`: always an array.
Addresses = Annotated[tuple[Endpoint, ...], BeforeValidator(as_list), Field(min_length=1)]

#: The same for the many types that take one host and port only.
OneAddress = Annotated[tuple[Endpoint, ...], BeforeValidator(as_list), Field(min_length=1, max_length=1)]
