"""Apache Kafka, and everything that speaks its protocol."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from registry.connection.fields import (
    ClientCertificate,
    ClientKey,
    FileReference,
    SecretReference,
    TrustedBundle,
    TruststorePassword,
    spelled,
)
from registry.connection.model import Connection, Mode
from registry.connection.parts import Instance, ManyAddresses
from registry.connection.tls import TlsMode, TlsSettings
from registry.types import DataSourceType

_PROTOCOLS = ("authTypeNone", "authTypeSaslSsl", "authTypeSsl", "authTypeSaslPlaintext")
_MECHANISMS = ("gssapi", "plain", "scram-sha-256", "scram-sha-512")
_SECRET_KEY = re.compile(r"password|secret|sasl\.jaas\.config|\.key$", re.IGNORECASE)


def _open(config: dict[str, str]) -> dict[str, str]:
    if hidden := next((key for key in config if _SECRET_KEY.search(key)), None):
        raise ValueError(
            f"{hidden} carries a secret (value not shown); use sasl_password, keystore_password or key_file"
        )
    return config


class Client(Connection):
    """How clients of a cluster prove who they are, and how they speak to it."""

    version: Annotated[Literal["2.0", "3.4"], BeforeValidator(str)] = Field(
        default="3.4", description="Version of the client that tasks use.", examples=["3.4"]
    )
    security_protocol: Annotated[
        Literal["authTypeNone", "authTypeSaslSsl", "authTypeSsl", "authTypeSaslPlaintext"], spelled(*_PROTOCOLS)
    ] = Field(
        default="authTypeNone",
        description="authTypeNone, authTypeSsl, authTypeSaslPlaintext or authTypeSaslSsl.",
        examples=["authTypeSaslSsl"],
    )
    sasl_mechanism: (
        Annotated[Literal["gssapi", "plain", "scram-sha-256", "scram-sha-512"], spelled(*_MECHANISMS)] | None
    ) = Field(
        default=None, description="SASL: plain, scram-sha-256, scram-sha-512 or gssapi.", examples=["scram-sha-256"]
    )
    sasl_username: str | None = Field(
        default=None, max_length=255, description="SASL: account; gssapi: principal.", examples=["app"]
    )
    sasl_password: SecretReference | None = Field(
        default=None, description="SASL: its password.", examples=["env:KAFKA_PASSWORD"]
    )
    truststore_file: TrustedBundle = None
    truststore_password: TruststorePassword = None
    keystore_file: ClientCertificate = None
    key_file: ClientKey = None
    keystore_password: SecretReference | None = Field(
        default=None, description="Password of the keystore.", examples=["env:KEYSTORE_PASSWORD"]
    )
    key_password: SecretReference | None = Field(
        default=None, description="Password of the private key.", examples=["env:KEY_PASSWORD"]
    )
    kerberos_file_keytab: FileReference | None = Field(
        default=None, description="gssapi: keytab.", examples=["file:/etc/headwater/app.keytab"]
    )
    kerberos_file_conf: FileReference | None = Field(
        default=None, description="gssapi: krb5.conf.", examples=["file:/etc/krb5.conf"]
    )
    jaas_file_conf: FileReference | None = Field(
        default=None,
        description="gssapi: JAAS configuration; principal and serviceName are read from its section KafkaClient.",
        examples=["file:/etc/headwater/jaas.conf"],
    )
    kafka_config: Annotated[dict[str, str], AfterValidator(_open)] = Field(
        default_factory=dict,
        description="Further settings of the client, none of them secret.",
        examples=[{"client.id": "headwater"}],
    )

    @property
    def username(self) -> str | None:
        """The account, under the name that every type has for it."""
        return self.sasl_username

    @property
    def sasl(self) -> bool:
        """Whether a SASL exchange is asked for."""
        return self.security_protocol in ("authTypeSaslSsl", "authTypeSaslPlaintext")

    @model_validator(mode="after")
    def _mechanism_and_account(self) -> Self:
        if not self.sasl:
            return self
        if self.sasl_mechanism is None:
            raise ValueError("SASL needs sasl_mechanism: plain, scram-sha-256, scram-sha-512 or gssapi")
        if self.sasl_mechanism == "gssapi":
            if not (self.kerberos_file_keytab and self.kerberos_file_conf):
                raise ValueError("sasl_mechanism gssapi needs kerberos_file_keytab and kerberos_file_conf")
        elif not (self.sasl_username and self.sasl_password):
            raise ValueError(f"sasl_mechanism {self.sasl_mechanism} needs sasl_username and sasl_password")
        return self

    def tls(self) -> TlsSettings:
        """Verifies as soon as there is a truststore, and the name unless the client's own setting says no."""
        if self.security_protocol not in ("authTypeSsl", "authTypeSaslSsl"):
            return TlsSettings()
        by_name = self.kafka_config.get("ssl.endpoint.identification.algorithm", "https")
        verified: TlsMode = "verify-full" if by_name else "verify-ca"
        mode: TlsMode = verified if self.truststore_file else "require"
        password = self.key_password or self.keystore_password
        return TlsSettings(mode, self.truststore_file, self.keystore_file, self.key_file, password)


class ConnectionString(Client, ManyAddresses):
    """Bootstrap servers."""

    url_scheme: ClassVar[str] = "kafka"


class InstanceById(Client, Instance):
    """A managed cluster."""


TYPE = DataSourceType(
    name="kafka",
    title="Kafka",
    protocol="kafka",
    default_port=9092,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("alikafka",),
    url_schemes=("kafka",),
    example={
        "address": [{"host": "broker1.example.com", "port": 9093}, {"host": "broker2.example.com", "port": 9093}],
        "security_protocol": "authTypeSaslSsl",
        "sasl_mechanism": "scram-sha-256",
        "sasl_username": "app",
        "sasl_password": "env:KAFKA_PASSWORD",
        "truststore_file": "file:/etc/headwater/ca.pem",
        "objects": ["orders"],
    },
    tested="wire",
    notes="Objects are topics. Every broker that the cluster advertises is dialled. SASL layers are Unsupport.",
)
