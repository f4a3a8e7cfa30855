"""The base of every connection model.

Each data source type has a pydantic model for each connection mode; the models are put together from the parts in
`registry.connection.parts`. Field names are snake_case; DataWorks' camelCase property names are accepted as aliases
everywhere (DataWorks OpenAPI 2024-05-18, `ConnectionProperties`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from registry.connection.fields import AllowlistEntries, Endpoint, sensitivity
from registry.connection.tls import TlsSettings


class Mode(StrEnum):
    """DataWorks' `ConnectionPropertiesMode`."""

    CONNECTION_STRING = "UrlMode"
    INSTANCE = "InstanceMode"


class Connection(BaseModel):
    """The configuration of one environment entry, in one connection mode."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        defer_build=True,  # most are parts of others, and of those only one is used
    )

    mode: ClassVar[Mode] = Mode.CONNECTION_STRING

    #: Fields that are mappings, some of whose values are references to secrets: see `secret_keys`.
    secret_mappings: ClassVar[tuple[str, ...]] = ()

    objects: tuple[str, ...] = Field(
        default=(),
        description="Bound tables, views, keys, key prefixes or paths: what must be readable.",
        examples=[["orders", "order_lines"]],
    )
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="Driver properties; those outside the protocol's allow-list are removed and reported.",
        examples=[{"connectTimeout": "10"}],
    )

    allowlist: AllowlistEntries = Field(
        default=(),
        description="What the server's own allowlist lets in, as far as it is known: addresses, CIDRs, ranges. It is "
        "sent nowhere; a group that it leaves out is told.",
        examples=[["10.0.0.0/8", "192.0.2.7", "10.1.1.1-10.1.1.20", "2001:db8::/32"]],
    )

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every host and port that this connection names, in order of preference."""
        return ()

    def place(self) -> str:
        """What stands for the host where the connection names none: region and id of an instance; empty elsewhere."""
        return ""

    def tls(self) -> TlsSettings:
        """What this connection wants of TLS."""
        return TlsSettings()

    @model_validator(mode="after")
    def _tls_words_agree(self) -> Self:
        self.tls()
        return self

    @classmethod
    def sensitive_fields(cls) -> Mapping[str, str]:
        """Field name -> ``secret`` or ``file``, for the fields that hold a reference."""
        return _sensitive_fields(cls)

    @classmethod
    def secret_keys(cls, mapping: Mapping[str, Any]) -> tuple[str, ...]:
        """Those keys of a field of `secret_mappings` whose values are references."""
        return ()

    def secret_references(self) -> dict[str, str]:
        """Field name -> reference, for every secret and file field that is set; `FIELD.KEY` inside a mapping."""
        found = {name: value for name in self.sensitive_fields() if (value := getattr(self, name))}
        for name in self.secret_mappings:
            held = getattr(self, name)
            found |= {f"{name}.{key}": held[key] for key in self.secret_keys(held)}
        return found


@cache
def _sensitive_fields(model: type[Connection]) -> Mapping[str, str]:
    marks = {name: sensitivity(info.annotation, info.metadata) for name, info in model.model_fields.items()}
    return {name: mark.kind for name, mark in marks.items() if mark}
