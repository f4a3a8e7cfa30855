"""SAP HANA."""

from __future__ import annotations

from pydantic import Field

from registry.connection import tls
from registry.connection.fields import AccountPassword, DatabaseName
from registry.connection.model import Mode
from registry.connection.parts import Address, StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class ConnectionString(StorePasswords, Address):
    """The SQL port of one database."""

    database: DatabaseName | None = Field(
        default=None, description="Name of the tenant database behind the port, to be checked.", examples=["HXE"]
    )
    username: str = Field(min_length=1, max_length=255, description="Account that logs in.", examples=["APP"])
    password: AccountPassword = None

    def tls(self) -> TlsSettings:
        return self.settled(
            tls.switch_word(self.properties, "encrypt", on="verify-full", verify="validateCertificate"),
            self.keystore_password,
            default="disable",
        )


TYPE = DataSourceType(
    name="saphana",
    title="SAP HANA",
    protocol="saphana",
    default_port=30015,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("hana", "sap_hana"),
    url_schemes=("sap",),
    example={
        "address": [{"host": "hana.example.com", "port": 30015}],
        "username": "APP",
        "password": "env:ORDERS_PASSWORD",
        "properties": {"encrypt": "true"},
        "objects": ["SALES.ORDERS"],
    },
    tested="wire",
    notes="Password logins; SAML, JWT, X.509 and Kerberos are not tested. The address is the SQL port of the tenant.",
    modules=("data_integration",),
)
