"""What the lab consists of: routers, resource groups, the servers' addresses and the dead ones. Data alone.

client      10.77.1.2 --+                           +-- 10.77.2.0/24  private servers, name server 10.77.2.53
elsewhere   10.77.3.2 --+                           |
nogateway   10.77.4.2 --+-- router -----------------+-- 25.77.0.0/24  the same servers by public addresses
noresolver  10.77.5.2 --+     |  |                  |
v4only      10.77.6.2 --+     |  |                  +-- 25.77.8.0/24  canaries, an echo of the client's address
egress      10.77.7.2 --+     |  |
                              |  +-- vpc --+-- serverless_nat 10.77.20.2   SNAT to 25.77.20.1
                              |            +-- serverless     10.77.21.2   dropped on its way to public addresses
                              |            +-- exclusive      10.77.22.2   SNAT to its own EIP 25.77.22.1
                              |            +-- name server    10.77.23.53  also knows the private zone
                              |
                              +-- office --+-- onprem         10.77.30.2   SNAT to 25.77.30.1, a firewall
                                           +-- name server    10.77.31.53  has a view of its own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DOMAIN = "lab.test"
PROTOCOL_PORTS = (21, 22, 80, 443, 3306, 5432, 6379)

NAME_SERVER = "10.77.2.53"
NAME_SERVER_V6 = "fd77:2::53"


@dataclass(frozen=True)
class Host:
    """One machine in the servers' network, by each of its addresses. `public` addresses are globally routable ones."""

    v4: str
    v6: str
    public: str
    public_v6: str


#: Machines in each of the two networks of servers.
MACHINES = 248


def address_of(number: int) -> Host:
    """The machine of this number, from 2 on: in the servers' network, and in a second one when that is full."""
    if number < MACHINES + 2:
        return Host(f"10.77.2.{number}", f"fd77:2::{number}", f"25.77.0.{number}", f"2a77:77::{number}")
    own = number - MACHINES
    return Host(f"10.77.12.{own}", f"fd77:2::1:{own}", f"25.77.1.{own}", f"2a77:77::1:{own}")


def number_of(host: Host) -> int:
    """The number of a machine."""
    network, own = host.v4.rsplit(".", 1)
    return int(own) + (MACHINES if network == "10.77.12" else 0)


class Dead:
    """Addresses where nobody is, each dead in its own way, as `client` sees them."""

    ON_LINK = "10.77.1.99"  # in the client's own network: no neighbour answers
    ON_LINK_V6 = "fd77:1::99"
    ROUTED = "10.77.2.254"  # in the servers' network: the router finds no neighbour and says so after 3 s
    ROUTED_V6 = "fd77:2::fe:99"
    BLACKHOLE = "10.77.9.9"  # the router swallows it
    BLACKHOLE_V6 = "fd77:9::9"
    BLACKHOLE_PUBLIC = "25.77.9.9"
    UNREACHABLE = "10.77.10.9"  # the router answers: host unreachable (ICMP 3/1)
    UNREACHABLE_V6 = "fd77:10::9"
    PROHIBITED = "10.77.11.9"  # the router answers: administratively prohibited (ICMP 3/13)
    PROHIBITED_V6 = "fd77:11::9"
    NO_ROUTE_BEYOND = "10.77.200.9"  # the router has no route: net unreachable (ICMP 3/0)
    NO_ROUTE_BEYOND_V6 = "fd77:200::9"
    LOCAL_UNREACHABLE = "10.78.1.9"  # the client's own table says unreachable (EHOSTUNREACH)
    LOCAL_UNREACHABLE_V6 = "fd78:1::9"
    LOCAL_PROHIBITED = "10.78.2.9"  # ... prohibit (EACCES)
    LOCAL_BLACKHOLE = "10.78.3.9"  # ... blackhole (EINVAL)


#: Public places that accept from every network with a way out. Neither port is a data source's.
CANARIES = (("25.77.8.1", 853), ("25.77.8.2", 5061))
#: Answers over HTTP with the address that the client has there.
ECHO = ("25.77.8.3", 8088)
_CANARIES = tuple(f"{host}:{port}" for host, port in CANARIES)


@dataclass(frozen=True)
class Vantage:
    """A resource group, from which checks run: its network's number and what is particular about it.

    Attributes:
        behind: The router that it is connected to.
        declared: What an operator would declare about its network (`registry.network.Network`), canaries apart.
        kinds: The kinds of resource group that it can be tested as.
    """

    subnet: int
    default_route: bool = True
    ipv6: bool = True
    name_server: str = NAME_SERVER
    no_egress: bool = False
    behind: str = "router"
    declared: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("local", "ssh")

    @property
    def v4(self) -> str:
        return f"10.77.{self.subnet}.2"

    @property
    def v6(self) -> str:
        return f"fd77:{self.subnet}::2"

    @property
    def cidr(self) -> str:
        return f"10.77.{self.subnet}.0/24"

    @property
    def network(self) -> dict[str, Any]:
        """The declared network, as the registry has it."""
        return {"canaries": list(_CANARIES), **self.declared}


@dataclass(frozen=True)
class Router:
    """A second router between some vantages and the first one, with a name server of its own.

    Attributes:
        transit: The number of the network between the two routers.
        name_server: In a network of its own; its view lies over what the lab's first name server says.
        snat: Network of a vantage -> the public address that public targets see instead.
        no_way_out: Networks whose packets to public addresses vanish here.
        ipv6: Whether it forwards IPv6 too.
    """

    transit: int
    name_server: str
    snat: Mapping[str, str] = field(default_factory=dict)
    no_way_out: tuple[str, ...] = ()
    ipv6: bool = False


VPC_NAME_SERVER = "10.77.23.53"
OFFICE_NAME_SERVER = "10.77.31.53"

ROUTERS: Mapping[str, Router] = {
    "vpc": Router(
        40,
        VPC_NAME_SERVER,
        snat={"10.77.20.0/24": "25.77.20.1", "10.77.22.0/24": "25.77.22.1"},
        no_way_out=("10.77.21.0/24",),
    ),
    "office": Router(41, OFFICE_NAME_SERVER, snat={"10.77.30.0/24": "25.77.30.1"}, ipv6=True),
}

VANTAGES: Mapping[str, Vantage] = {
    "client": Vantage(1, kinds=("local", "ssh", "worker")),
    "elsewhere": Vantage(3),  # nothing wrong; another source address
    "nogateway": Vantage(4, default_route=False),  # reaches the servers' private network and nothing else
    "noresolver": Vantage(5, name_server="10.77.9.53"),  # its name server is silent
    "v4only": Vantage(6, ipv6=False),
    "egress": Vantage(7, no_egress=True),  # its own firewall lets no known protocol's port out
    "serverless_nat": Vantage(
        20, ipv6=False, name_server=VPC_NAME_SERVER, behind="vpc",
        declared={
            "type": "serverless", "vpc_id": "vpc-lab", "vswitch_id": "vsw-nat", "vswitch_cidrs": ["10.77.20.0/24"],
            "nat_eips": ["25.77.20.1"], "dns_servers": [VPC_NAME_SERVER],
        },
    ),
    "serverless": Vantage(
        21, ipv6=False, name_server=VPC_NAME_SERVER, behind="vpc",
        declared={
            "type": "serverless", "vpc_id": "vpc-lab", "vswitch_id": "vsw-plain", "vswitch_cidrs": ["10.77.21.0/24"],
            "nat_eips": [], "dns_servers": [VPC_NAME_SERVER],
        },
    ),
    "exclusive": Vantage(
        22, ipv6=False, name_server=VPC_NAME_SERVER, behind="vpc",
        declared={
            "type": "exclusive", "vpc_id": "vpc-lab", "vswitch_id": "vsw-excl", "vswitch_cidrs": ["10.77.22.0/24"],
            "eips": ["25.77.22.1"], "dns_servers": [VPC_NAME_SERVER],
        },
    ),
    "onprem": Vantage(
        30, name_server=OFFICE_NAME_SERVER, behind="office",
        declared={
            "type": "local", "vswitch_cidrs": ["10.77.30.0/24"], "nat_eips": ["25.77.30.1"],
            "dns_servers": [OFFICE_NAME_SERVER],
        },
    ),
}  # fmt: skip

#: What a firewall does to a packet, in nftables' words for IPv4 and IPv6.
ACTIONS: Mapping[str, tuple[str, str]] = {
    "drop": ("drop", "drop"),
    "reset": ("reject with tcp reset", "reject with tcp reset"),
    "port-unreachable": ("reject with icmp type port-unreachable", "reject with icmpv6 type port-unreachable"),
    "admin-prohibited": ("reject with icmp type admin-prohibited", "reject with icmpv6 type admin-prohibited"),
    "host-prohibited": ("reject with icmp type host-prohibited", "reject with icmpv6 type admin-prohibited"),
    "net-prohibited": ("reject with icmp type net-prohibited", "reject with icmpv6 type admin-prohibited"),
    "host-unreachable": ("reject with icmp type host-unreachable", "reject with icmpv6 type addr-unreachable"),
    "net-unreachable": ("reject with icmp type net-unreachable", "reject with icmpv6 type no-route"),
}
