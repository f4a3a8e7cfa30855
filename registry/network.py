"""What an operator declares about the network of a resource group (DataWorks: networks, NAT gateways, EIPs).

Declared facts are compared with what is observed from there; they also give the exact entries that an allowlist needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyAddress, IPvAnyNetwork

from registry.connection.fields import Endpoint


def _endpoint(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError("give HOST:PORT, such as 198.51.100.7:443 or [2001:db8::7]:443")
    return text


#: ``HOST:PORT``; an IPv6 address stands in brackets.
HostAndPort = Annotated[str, AfterValidator(_endpoint)]


def endpoint(text: str) -> Endpoint:
    """The host and port of ``HOST:PORT``."""
    host, _, port = text.rpartition(":")
    return Endpoint(host=host.strip("[]"), port=int(port))


class Network(BaseModel):
    """The declared network of one resource group. None: nothing is declared; an empty list: there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["serverless", "exclusive", "shared", "local"] = "local"
    vpc_id: str | None = None
    vswitch_id: str | None = None
    #: The networks from which internal addresses see the group come.
    vswitch_cidrs: tuple[IPvAnyNetwork, ...] = ()
    #: Addresses of the SNAT entries of the VPC's Internet NAT gateway: from where public addresses see it come.
    nat_eips: tuple[IPvAnyAddress, ...] | None = None
    #: The group's own public addresses (exclusive resource groups).
    eips: tuple[IPvAnyAddress, ...] = ()
    #: Ranges that the provider publishes for a shared group; also those of platform services that connect beside it.
    published_cidrs: tuple[IPvAnyNetwork, ...] = ()
    #: The name servers that the group is meant to ask.
    dns_servers: tuple[IPvAnyAddress, ...] | None = None
    #: Addresses that tests from here may be aimed at, beside what the workspace permits; empty for no limit of its own.
    permitted_ranges: tuple[IPvAnyNetwork, ...] = ()
    #: Public places that answer from every network with a way out: silence from all of them is a missing way out.
    canaries: tuple[HostAndPort, ...] = ()
    #: An HTTP address that answers with the client's address as it sees it.
    echo_url: Annotated[str, Field(pattern=r"^https?://")] | None = None

    @property
    def has_no_nat(self) -> bool:
        """Whether it is declared that the group has no public address to come from."""
        return self.nat_eips == () and not self.eips and self.type != "shared"


def declared(values: Mapping[str, Any]) -> Network:
    """The network as the registry keeps it."""
    return Network.model_validate(values)
