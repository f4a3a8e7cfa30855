"""What one environment entry of a data source holds, without the values of its secrets.

Each data source type has a pydantic model for each connection mode; the models are put together from the parts here.
Field names are snake_case; DataWorks' camelCase property names are accepted as aliases everywhere
(DataWorks OpenAPI 2024-05-18, `ConnectionProperties`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Mode(StrEnum):
    """DataWorks' `ConnectionPropertiesMode`."""

    CONNECTION_STRING = "UrlMode"
    INSTANCE = "InstanceMode"


#: Where the value of a secret comes from. A literal never stands in a model: it is encrypted first and becomes
#: `stored:ID`.
REFERENCE_SCHEMES = ("env", "file", "prefect", "vault", "stored")


def _reference(value: str) -> str:
    scheme, colon, rest = value.partition(":")
    if not colon or scheme not in REFERENCE_SCHEMES or not rest:
        # The value may be a password typed in the wrong place: it must not be repeated.
        raise ValueError(
            "a literal secret is not accepted here (value not shown); "
            'use a reference such as "env:ORDERS_PASSWORD" or "file:/run/secrets/orders"'
        )
    return value


SECRET = {"secret": True}
FILE = {"file": True}

#: A reference to a secret: `env:NAME`, `file:PATH`, `prefect:BLOCK-SLUG/NAME[.FIELD]`, `vault:PATH#FIELD`, `stored:ID`.
SecretReference = Annotated[str, AfterValidator(_reference), Field(json_schema_extra={"secret": True})]

#: A certificate, key or keytab: `file:PATH` (PEM) or `stored:ID`, the id of an uploaded file.
FileReference = Annotated[str, AfterValidator(_reference), Field(json_schema_extra={"file": True})]

Port = Annotated[int, Field(ge=1, le=65535)]


class Endpoint(BaseModel):
    """One host and port. A host that starts with `/` is the directory of a Unix socket, as in libpq."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Port


class Connection(BaseModel):
    """The configuration of one environment entry, in one connection mode."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    mode: ClassVar[Mode] = Mode.CONNECTION_STRING

    #: Bound tables, views, keys, key prefixes or paths: what must be readable.
    objects: tuple[str, ...] = ()
    #: Driver properties that survived the allow-list of the protocol.
    properties: dict[str, str] = Field(default_factory=dict)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every host and port that this connection names, in order of preference."""
        return ()

    def secret_references(self) -> dict[str, str]:
        """Field name -> reference, for every secret and file field that is set."""
        found: dict[str, str] = {}
        for name, info in type(self).model_fields.items():
            extra = info.json_schema_extra
            value = getattr(self, name)
            if value and isinstance(extra, dict) and (extra.get("secret") or extra.get("file")):
                found[name] = value
        return found


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


#: DataWorks' `address`: always an array, most types allow one entry.
Addresses = Annotated[tuple[Endpoint, ...], BeforeValidator(_as_list), Field(min_length=1)]
