"""The parts that the connection models of several types share."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

from pydantic import Field, model_validator

from registry.connection import tls
from registry.connection.fields import (
    AccountName,
    Addresses,
    ClientCertificate,
    ClientKey,
    ClientKeyPassword,
    DatabaseName,
    Endpoint,
    OneAddress,
    QuotedName,
    SecretReference,
    TransportSecurity,
    TrustedBundle,
    TruststorePassword,
)
from registry.connection.model import Connection, Mode
from registry.connection.tls import TlsSettings


class Login(Connection):
    """A database, and who logs in to it."""

    database: DatabaseName = Field(description="Name of the database.", examples=["orders"])
    username: AccountName
    password: SecretReference | None = Field(
        default=None,
        description="Its password; none where the server asks for none.",
        examples=["env:ORDERS_PASSWORD"],
    )


class QuotedLogin(Login):
    """A database of PostgreSQL or MySQL, where a name in quotes may hold any character."""

    database: QuotedName = Field(description="Name of the database.", examples=["orders"])


class Address(Connection):
    """One host and port."""

    address: OneAddress = Field(
        description="Host and port; one pair.", examples=[[{"host": "db.example.com", "port": 5432}]]
    )

    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.address


class ManyAddresses(Connection):
    """Several hosts and ports, in order of preference."""

    address: Addresses = Field(
        description="Hosts and ports, in order of preference.",
        examples=[[{"host": "db1.example.com", "port": 5432}, {"host": "db2.example.com", "port": 5432}]],
    )

    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.address


class CloudInstance(Connection):
    """Where a managed instance is: DataWorks' instance mode, of the own account or of another."""

    mode: ClassVar[Mode] = Mode.INSTANCE

    region_id: str = Field(min_length=1, description="Region of the instance.", examples=["cn-hangzhou"])
    cross_account_owner_id: str | None = Field(
        default=None,
        description="Id of the cloud account that owns the instance, where it is another one.",
        examples=["1234567890123456"],
    )
    cross_account_role_name: str | None = Field(
        default=None,
        description="Role of that account which may describe the instance.",
        examples=["dataworks-reader"],
    )

    cloud: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Who knows the instance: inventory, alibaba or aws; unset: the inventory if it does, else the only "
        "cloud that is configured.",
        examples=["alibaba"],
    )

    @property
    def instance(self) -> str:
        """The id of the instance or cluster."""
        return str(getattr(self, "instance_id", None) or getattr(self, "cluster_id", ""))

    def place(self) -> str:
        replica = getattr(self, "read_only_db_instance", None)
        names = (self.cloud, self.region_id, self.instance, replica, self.cross_account_owner_id)
        return " ".join(name or "-" for name in names)

    @model_validator(mode="after")
    def _account_and_role_together(self) -> Self:
        if (self.cross_account_owner_id is None) != (self.cross_account_role_name is None):
            raise ValueError("cross_account_owner_id and cross_account_role_name go together; give both or neither")
        return self


class Instance(CloudInstance):
    """A managed instance by its id."""

    instance_id: str = Field(min_length=1, description="Id of the instance.", examples=["pgm-bp1example"])


class ReadReplica(Connection):
    """A managed instance with read-only replicas."""

    read_only_db_instance: str | None = Field(
        default=None,
        alias="readOnlyDBInstance",
        description="Read-only replica to use instead of the primary.",
        examples=["rr-bp1example"],
    )


class Transport(Connection):
    """The files of TLS, under DataWorks' names."""

    security_protocol: TransportSecurity | None = Field(
        default=None,
        description="authTypeSsl asks for TLS, authTypeNone for none; unset leaves it to the protocol's own default.",
        examples=["authTypeSsl"],
    )
    truststore_file: TrustedBundle = None
    keystore_file: ClientCertificate = None
    key_file: ClientKey = None

    @property
    def tls_asked(self) -> bool | None:
        """What `security_protocol` says: None where it says nothing."""
        return None if self.security_protocol is None else self.security_protocol == "authTypeSsl"

    def settled(
        self, word: tls.TlsMode | None, key_password: str | None, *, default: tls.TlsMode = "prefer"
    ) -> TlsSettings:
        """The settings for the finer word of the properties.

        Args:
            word: What the properties say, in libpq's words; None where they say nothing.
            default: Where nothing is said at all: `prefer`, as libpq and MySQL do, or `disable` for a protocol that
                has TLS from the first byte or not at all.
        """
        files = TlsSettings(default, self.truststore_file, self.keystore_file, self.key_file, key_password)
        return replace(files, mode=tls.settle(asked=self.tls_asked, word=word, files=files, default=default))


class StorePasswords(Transport):
    """Passwords of the trust and key stores, where DataWorks has them."""

    truststore_password: TruststorePassword = None
    keystore_password: ClientKeyPassword = None


class StoresTransport(StorePasswords):
    """TLS where it is asked for, or where there are files of it; no finer words."""

    def tls(self) -> TlsSettings:
        """Verifies as soon as there is a truststore."""
        if not (self.truststore_file or self.keystore_file if self.tls_asked is None else self.tls_asked):
            return TlsSettings()
        mode: tls.TlsMode = "verify-full" if self.truststore_file else "require"
        return TlsSettings(mode, self.truststore_file, self.keystore_file, self.key_file, self.keystore_password)


class PostgresqlTransport(Transport):
    """TLS by libpq's and pgJDBC's words."""

    client_password: SecretReference | None = Field(
        default=None,
        description="Password of the client's private key.",
        examples=["env:CLIENT_KEY_PASSWORD"],
    )

    def tls(self) -> TlsSettings:
        return self.settled(tls.postgresql_word(self.properties), self.client_password)


class MysqlTransport(StorePasswords):
    """TLS by Connector/J's words."""

    def tls(self) -> TlsSettings:
        return self.settled(tls.mysql_word(self.properties), self.keystore_password)
