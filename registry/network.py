"""What an operator declares about the network of a resource group (DataWorks: networks, NAT gateways, EIPs).

Declared facts are compared with what is observed from there; they also give the exact entries that an allowlist needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
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


#: (type of group, whether the address is public) -> what an allowlist must name for it.
_KINDS = {
    ("serverless", False): "the CIDR of its vSwitch",
    ("serverless", True): "the EIP of its VPC's Internet NAT gateway",
    ("exclusive", False): "the CIDR of its vSwitch",
    ("exclusive", True): "its own EIP",
    ("shared", False): "the ranges published for shared groups",
    ("shared", True): "the ranges published for shared groups",
    ("local", False): "its network",
    ("local", True): "the public address that it comes from",
}
#: The same -> the field that is missing, and where its value stands.
_WHERE_TO_FIND = {
    ("serverless", False): "declare network.vswitch_cidrs: the group's network settings name the vSwitch bound to it, "
    "the VPC console its IPv4 CIDR block",
    ("serverless", True): "declare network.nat_eips: the EIPs of the SNAT entries on the Internet NAT gateway of the "
    "VPC bound to the group ([] when it has none)",
    ("exclusive", False): "declare network.vswitch_cidrs: the group's network settings name the vSwitch bound to it",
    ("exclusive", True): "declare network.eips: the group's details show its EIP",
    ("shared", False): "declare network.published_cidrs: the provider's list for the region",
    ("shared", True): "declare network.published_cidrs: the provider's list for the region",
    ("local", False): "declare network.vswitch_cidrs: the network that the machine is in",
    ("local", True): "declare network.eips: the address that a service outside sees the machine come from",
}


class Network(BaseModel):
    """The declared network of one resource group. None: nothing is declared; an empty list: there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    type: Literal["serverless", "exclusive", "shared", "local"] = "local"
    #: What may run there; empty: anything. An exclusive group is for scheduling, for synchronization or for the APIs of
    #: Data Service, a serverless one for all of them.
    purposes: tuple[Literal["scheduling", "synchronization", "data_service"], ...] = ()
    #: Where the VPC is, for the network audit: the cloud (inventory, alibaba, aws) and its region.
    cloud: str | None = None
    region_id: str | None = None
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

    def allowlist_entries(self, public: bool) -> tuple[IPv4Network | IPv6Network, ...]:
        """What a server must let in for the tasks of this group; empty when that is not declared.

        Args:
            public: Whether the server is reached at a public address: it then sees NAT's or the group's own address,
                else the vSwitch's. Shared groups come from the ranges that their provider publishes either way.
        """
        if self.type == "shared":
            return self.published_cidrs
        if not public:
            return self.vswitch_cidrs
        return tuple(ip_network(str(address)) for address in (*(self.nat_eips or ()), *self.eips))

    @property
    def platform_cidrs(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """What must be let in besides: services of the platform that read data sources from their own addresses."""
        return () if self.type == "shared" else self.published_cidrs

    def entry_kind(self, public: bool) -> str:
        """What the entries are, in words."""
        return _KINDS.get((self.type, public), _KINDS["local", public])

    def undeclared(self, public: bool) -> str:
        """What to declare, and where it is found, when no entries are known."""
        return _WHERE_TO_FIND.get((self.type, public), _WHERE_TO_FIND["local", public])


def declared(values: Mapping[str, Any]) -> Network:
    """The network as the registry keeps it."""
    return Network.model_validate(values)
