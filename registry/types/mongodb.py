"""MongoDB."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from registry.connection import tls
from registry.connection.fields import DatabaseName, TransportSecurity, spelled
from registry.connection.model import Mode
from registry.connection.parts import Instance, Login, ManyAddresses, StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType

_VERSIONS = ("4.x", "5.x", "6.x", "7.x")


class MongodbTransport(StorePasswords):
    """Who logs in where, and TLS: from the first byte or not at all."""

    auth_db: DatabaseName = Field(
        default="admin", description="Database in which the account was created.", examples=["admin"]
    )
    engine_version: Annotated[Literal["4.x", "5.x", "6.x", "7.x"], spelled(*_VERSIONS)] | None = Field(
        default=None, description="Version of the server: 4.x, 5.x, 6.x or 7.x.", examples=["7.x"]
    )
    auth_type: TransportSecurity | None = Field(
        default=None,
        description="authTypeSsl asks for TLS, as security_protocol does; here DataWorks calls it so.",
        examples=["authTypeSsl"],
    )

    @model_validator(mode="after")
    def _one_word_on_tls(self) -> MongodbTransport:
        if self.auth_type and self.security_protocol and self.auth_type != self.security_protocol:
            raise ValueError("auth_type and security_protocol differ; both switch TLS, so drop one of the two")
        return self

    @property
    def tls_asked(self) -> bool | None:
        word = self.auth_type or self.security_protocol
        return None if word is None else word == "authTypeSsl"

    def tls(self) -> TlsSettings:
        return self.settled(tls.mongodb_word(self.properties), self.keystore_password, default="disable")


class ConnectionString(MongodbTransport, Login, ManyAddresses):
    """Hosts and ports: members of a replica set, or routers of a sharded cluster."""


class InstanceById(MongodbTransport, Login, Instance):
    """A managed instance."""


TYPE = DataSourceType(
    name="mongodb",
    title="MongoDB",
    protocol="mongodb",
    default_port=27017,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("mongo", "dds"),
    url_schemes=("mongodb",),
    example={
        "address": [{"host": "mongo1.example.com", "port": 27017}, {"host": "mongo2.example.com", "port": 27017}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "auth_db": "admin",
        "properties": {"replicaSet": "rs0"},
        "objects": ["orders"],
    },
    tested="wire",
    notes="Objects are collections and views. SCRAM, X.509 and LDAP logins; Kerberos and cloud identities are not "
    "tested.",
    modules=("data_integration",),
)
