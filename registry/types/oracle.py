"""Oracle Database."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from registry.connection.fields import AccountName, AccountPassword
from registry.connection.model import Mode
from registry.connection.parts import ManyAddresses, StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType

#: What may stand in a TNS description without quotes.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.$-]{0,254}$")]


class ConnectionString(StorePasswords, ManyAddresses):
    """Listeners, and the service or SID behind them; or a `jdbc:oracle:thin:` URL."""

    service_name: Name | None = Field(
        default=None, description="Service name; this or sid.", examples=["orders.example.com"]
    )
    sid: Name | None = Field(default=None, description="SID of the instance, for old databases.", examples=["ORCL"])
    username: AccountName
    password: AccountPassword = None

    @model_validator(mode="after")
    def _service_or_sid(self) -> ConnectionString:
        if not self.service_name and not self.sid:
            raise ValueError("give service_name or sid: a listener is asked for one of the two")
        return self

    @property
    def database(self) -> str | None:
        """What stands for the database's name elsewhere."""
        return self.service_name

    def tls(self) -> TlsSettings:
        """TCPS, from the first byte or not at all."""
        return self.settled(None, self.keystore_password, default="disable")


TYPE = DataSourceType(
    name="oracle",
    title="Oracle",
    protocol="oracle",
    default_port=1521,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("oracle",),
    example={
        "jdbc_url": "jdbc:oracle:thin:@//db.example.com:1521/orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "objects": ["sales.orders", "order_lines"],
    },
    tested="wire",
    notes="Native network encryption, wallets and Kerberos are not tested; TCPS is.",
)
