"""What must be let in, as each database or cloud wants it written: pure functions from networks to lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from registry.allowlists import Network, plain

#: Entries that one list of ApsaraDB takes.
MOST_RDS_ENTRIES = 1000

#: Words that pg_hba.conf reads as something else than a name, and characters that end or change one.
_HBA_WORDS = frozenset({"all", "sameuser", "samerole", "samegroup", "replication"})
_HBA_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.$-]*")


@dataclass(frozen=True)
class Need:
    """What one server must let in.

    Attributes:
        networks: As few as will do, IPv4 first: see `registry.allowlists.collapsed`.
        port: The server's.
        database, username: Who logs in to what; None where the type has none, or they are not known.
        over_tls: True: clients come over TLS alone; False: never; None: either way.
        name: For whom, in comments.
    """

    networks: tuple[Network, ...]
    port: int
    database: str | None = None
    username: str | None = None
    over_tls: bool | None = None
    name: str = "headwater"


def plain_lines(need: Need) -> list[str]:
    """One address or CIDR a line."""
    return [plain(network) for network in need.networks]


def postgresql(need: Need) -> list[str]:
    """Lines of pg_hba.conf (PostgreSQL documentation, "The pg_hba.conf File")."""
    how = {True: "hostssl", False: "hostnossl", None: "host"}[need.over_tls]
    who = f"{_hba_name(need.database)} {_hba_name(need.username)}"
    return [f"{how} {who} {network} scram-sha-256" for network in need.networks]


def mysql(need: Need) -> list[str]:
    """Accounts with their host part (MySQL manual, "Specifying Account Names"); the password is for the DBA to set."""
    lines = []
    for network in need.networks:
        where = mysql_host(network)
        if where is None:
            lines.append(f"-- {network}: MySQL has no host part for it; make an account for each address")
            continue
        account = f"{_sql_text(need.username or 'app')}@{_sql_text(where)}"
        database = f"`{need.database.replace('`', '``')}`" if need.database else "*"
        require = " REQUIRE SSL" if need.over_tls else ""
        lines.append(f"CREATE USER {account} IDENTIFIED BY '...'{require};")
        lines.append(f"GRANT SELECT ON {database}.* TO {account};")
    return lines


def mysql_host(network: Network) -> str | None:
    """The host part that covers a network exactly; None where MySQL has none.

    IPv4: the address, `10.77.1.%` at a dot, else with a netmask. IPv6 has neither netmask nor a fixed number of groups
    in its text, so that `%` fits only after groups that are never left out.
    """
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    if isinstance(network, IPv4Network):
        if network.prefixlen % 8 or not network.prefixlen:
            return f"{network.network_address}/{network.netmask}" if network.prefixlen else "%"
        return ".".join(str(network.network_address).split(".")[: network.prefixlen // 8]) + ".%"
    return _mysql_v6(network)


def _mysql_v6(network: IPv6Network) -> str | None:
    groups = network.network_address.exploded.split(":")[: network.prefixlen // 16]
    if network.prefixlen % 16 or not groups or any(int(group, 16) == 0 for group in groups):
        return None
    return ":".join(f"{int(group, 16):x}" for group in groups) + ":%"


def rds(need: Need) -> list[str]:
    """Lists as ApsaraDB's consoles and APIs (`SecurityIps`) take them: commas, no blanks, 1000 entries at most."""
    entries = plain_lines(need)
    return [",".join(entries[start : start + MOST_RDS_ENTRIES]) for start in range(0, len(entries), MOST_RDS_ENTRIES)]


def nftables(need: Need) -> list[str]:
    """Rules for `nft -f`, for a table and chain as distributions set them up."""
    found = []
    for word, family in (("ip", IPv4Network), ("ip6", IPv6Network)):
        entries = [plain(network) for network in need.networks if isinstance(network, family)]
        if entries:
            found.append(
                f"add rule inet filter input {word} saddr {{ {', '.join(entries)} }} tcp dport {need.port} "
                f'accept comment "{_comment(need.name)}"'
            )
    return found


def security_group(need: Need) -> list[str]:
    """JSON for Alibaba Cloud (`AuthorizeSecurityGroup`, `Permissions`) and AWS (`AuthorizeSecurityGroupIngress`,
    `IpPermissions`)."""
    v4 = [str(network) for network in need.networks if isinstance(network, IPv4Network)]
    v6 = [str(network) for network in need.networks if isinstance(network, IPv6Network)]
    common = {"Policy": "accept", "IpProtocol": "TCP", "PortRange": f"{need.port}/{need.port}"}
    alibaba = [{**common, "SourceCidrIp": cidr, "Description": need.name} for cidr in v4]
    alibaba += [{**common, "Ipv6SourceCidrIp": cidr, "Description": need.name} for cidr in v6]
    aws: dict[str, object] = {"IpProtocol": "tcp", "FromPort": need.port, "ToPort": need.port}
    if v4:
        aws["IpRanges"] = [{"CidrIp": cidr, "Description": need.name} for cidr in v4]
    if v6:
        aws["Ipv6Ranges"] = [{"CidrIpv6": cidr, "Description": need.name} for cidr in v6]
    return [json.dumps({"alibaba": {"Permissions": alibaba}, "aws": {"IpPermissions": [aws]}})] if need.networks else []


#: The forms by their names.
FORMS: Mapping[str, Callable[[Need], Sequence[str]]] = {
    "plain": plain_lines,
    "postgresql": postgresql,
    "mysql": mysql,
    "rds": rds,
    "nftables": nftables,
    "security-group": security_group,
}
#: The servers that keep a list in a form of their own.
_OWN = {"postgresql": "postgresql", "opengauss": "postgresql", "mysql": "mysql", "mariadb": "mysql", "tidb": "mysql"}


def form_of(type_name: str, *, managed: bool) -> str:
    """The form that goes with a type: its own file or accounts, else the list of its cloud, else plain CIDRs.

    Args:
        managed: Whether the type can be a cloud's instance, and this one is not known to be anything else.
    """
    return _OWN.get(type_name, "rds" if managed else "plain")


def _hba_name(name: str | None) -> str:
    if name is None:
        return "all"
    if _HBA_PLAIN.fullmatch(name) and name.lower() not in _HBA_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _sql_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _comment(text: str) -> str:
    return re.sub(r"[^\w ./-]", "", text)[:120]
