"""The name does not lead to an address."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

_FINAL = {"NXDOMAIN", "NOERROR", "TIMEOUT"}

CAUSES = (
    Cause(
        "DNS.NXDOMAIN",
        State.UNREACHABLE,
        Owner.USER,
        "The name servers say that the name does not exist (rcode 3), under every domain of the search list.",
        component="{name}",
        message="The name {name} does not exist for the name servers of {resource_group} ({nameservers}).",
        remedy="Correct the host name, or publish {name} where {resource_group} resolves names: a PrivateZone record "
        "for a serverless resource group, a host binding for an exclusive one.",
        rules=(
            Rule(
                "resolve",
                {"rcode": "NXDOMAIN", "alias_end": bool},
                rank=49,
                component="{alias_end}",
                message="The name {name} is an alias of {alias_end}, which does not exist for the name servers of "
                "{resource_group} ({nameservers}).",
                remedy="Publish {alias_end}, or let {name} be an alias of a name that exists.",
            ),
            Rule("resolve", {"rcode": "NXDOMAIN"}),
        ),
    ),
    Cause(
        "DNS.NO_ADDRESS",
        State.UNREACHABLE,
        Owner.NETWORK,
        "The name exists, but has neither an A nor an AAAA record: records of other kinds only, or an alias that leads "
        "nowhere or in a circle.",
        component="{name}",
        message="The name {name} exists, but has no A or AAAA record.",
        remedy="Add an A or AAAA record for {name}, or configure the name that has one.",
        rules=(
            Rule(
                "resolve",
                {"rcode": "NOERROR", "cname_loop": True},
                rank=40,
                message="The name {name} is an alias that leads in a circle.",
                remedy="Break the CNAME loop of {name}, or configure the name that has an address.",
            ),
            Rule(
                "resolve",
                {"rcode": "NOERROR", "alias_end": bool},
                rank=49,
                component="{alias_end}",
                message="The name {name} is an alias of {alias_end}, which exists and has no A or AAAA record.",
                remedy="Add an A or AAAA record for {alias_end}, or let {name} be an alias of a name that has one.",
            ),
            Rule("resolve", {"rcode": "NOERROR"}),
        ),
    ),
    Cause(
        "DNS.RESOLVER_DOWN",
        State.UNREACHABLE,
        Owner.NETWORK,
        "No configured name server answers, for other names either.",
        component="{nameservers}",
        message="None of the name servers of {resource_group} ({nameservers}) answers, whatever the name.",
        remedy="Start or replace the name server, or let {resource_group} reach {nameservers} on port 53 (UDP and "
        "TCP).",
        rules=(Rule("resolve", {"rcode": "TIMEOUT", "other_names_answered": False}),),
    ),
    Cause(
        "DNS.SERVER_FAILURE",
        State.UNREACHABLE,
        Owner.NETWORK,
        "A name server answers that it cannot or will not answer (rcode 2, SERVFAIL; rcode 5, REFUSED), or that its "
        "answer is too long for UDP, and cannot be asked over TCP.",
        component="{name}",
        message="The name servers {nameservers} answer {rcode} for {name}.",
        remedy="Let the owner of the name servers look at {name}: the zone's own servers may be down, or refuse this "
        "client.",
        rules=(
            Rule("resolve", {"rcode": lambda rcode: bool(rcode) and rcode not in _FINAL}),
            # Too long for a datagram (RFC 7766, section 5): a rule for UDP alone lets short answers pass.
            Rule(
                "resolve",
                {"rcode": "TIMEOUT", "truncated": True},
                rank=43,
                component="TCP port 53 of {nameservers}",
                message="What {nameservers} answer for {name} is too long for UDP (truncated), and over TCP they do "
                "not answer.",
                remedy="Let {resource_group} reach {nameservers} on TCP port 53 as well, or publish fewer records for "
                "{name}.",
            ),
        ),
    ),
    Cause(
        "DNS.SPLIT_VIEW",
        State.UNREACHABLE,
        Owner.NETWORK,
        "The name stands for other addresses here than in a resource group where the data source works, or for none: a "
        "private zone or a host binding is missing or stale. Told when verdicts of several groups are reviewed "
        "together.",
        component="{name}",
        message="{name} stands for other addresses in {resource_group} than where it works.",
        remedy="Let {resource_group} resolve {name} as the groups do where it works: PrivateZone for a serverless "
        "resource group, a host binding for an exclusive one, name server or /etc/hosts for a machine of one's own.",
    ),
    Cause(
        "DNS.NO_USABLE_FAMILY",
        State.UNREACHABLE,
        Owner.NETWORK,
        "The name has addresses only in a family, IPv4 or IPv6, in which this vantage has no way out.",
        component="{name}",
        message="{name} has {family} addresses only ({address}), and {resource_group} has no {family} route.",
        remedy="Give {resource_group} {family} connectivity, or publish an address of the other family for {name}.",
        rules=(
            Rule(
                "route",
                {"errno": bool, "from_name": True, "way_out": False, "way_out_other_family": True},
                rank=20,
            ),
        ),
    ),
)
