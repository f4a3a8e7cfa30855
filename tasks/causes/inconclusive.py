"""No single cause remains."""

from registry.verdict import INCONCLUSIVE, Owner, State
from tasks.causes import Cause, Rule

_SILENCE = "Nothing comes back from {address}: not from port {port}, nor from any other that was asked, nor an echo."
_REPORTED = (
    "Nothing comes back from {address}:{port}, and {other_port_icmp_from} answers for other ports of it with ICMP "
    "{other_port_icmp_type}/{other_port_icmp_code}."
)
_DECIDE = (
    "Test from another resource group, or ask the host's owner: if {address} is up, a firewall drops TCP port {port} "
    "from {source_cidr} and has to allow it, or its server is too busy to accept."
)
_SILENT_CANARIES = {
    "canaries_that_answer": bool,
    "canaries_on_port": lambda told: not told,
    "further_connects_answered": lambda count: not count,
}
_DECLARE_CANARY = (
    "Look whether a rule of {resource_group} forbids outgoing TCP port {port}; else allow it on {address} from "
    "{source_cidr}. To have it told, declare a public place that answers on port {port} among the network.canaries of "
    "{resource_group}, and test again."
)
_NOT_LISTED = frozenset({"lacks", "unsure"})
_LEFT_OUT = "The allowlist of the server ({allowlist}) does not let in all of {source_cidr}."
_MAYBE_LISTED = (
    "{address} answers {answered_otherwise}, but nothing comes back from port {port}; the allowlist of the server "
    "({allowlist}) lets in only a part of what {resource_group} may come from, or that is not declared."
)
_CHECK_LIST = (
    "Add {source_cidr} ({entry_kind}) for {resource_group} to the allowlist of the server and test again: if it stays "
    "silent, the cause is another."
)

_MUTE = {"broken": "silent", "mute": True}
_HANGS = (
    "{address}:{port} answers, and then says nothing more ({silent_ms} ms in stage {stage}): the server hangs, or a "
    "large packet vanishes on the way; from {resource_group} packets cannot be kept small to see which."
)
_SMALL_PACKETS = (
    "Test on the machine of {resource_group} itself (kind local or worker), or send echoes of 1500 bytes from there: "
    "ping -M do -s 1472 {address} (IPv6: -s 1452). If small ones are answered and these are not, mend the MTU of the "
    "way; else look at the server."
)

CAUSES = (
    Cause(
        INCONCLUSIVE,
        State.UNREACHABLE,
        Owner.NETWORK,
        "Two or more causes fit the evidence; `alternatives` lists them and the remedy names the probe that would "
        "decide.",
        component="{endpoint}",
        message="The evidence fits more than one cause.",
        remedy="Test from another resource group.",
        rules=(
            Rule(
                "resolve",
                {"rcode": "TIMEOUT"},
                rank=60,
                alternatives=("DNS.SERVER_FAILURE", "DNS.RESOLVER_DOWN"),
                component="{name}",
                message="The name servers {nameservers} answer for other names, but not for {name}.",
                remedy="Ask another name server for {name}: if it answers, the fault is in {nameservers}.",
            ),
            Rule(
                "resolve",
                {"rcode": "TIMEOUT", "searched": bool},
                rank=59,
                alternatives=("DNS.SERVER_FAILURE", "DNS.RESOLVER_DOWN"),
                component="{searched}",
                message="The name servers {nameservers} answer for other names, but not for {searched}, which the "
                "search list of {resource_group} makes of {name}.",
                remedy="Configure {name}. with a dot at its end, or take that domain out of the search list of "
                "{resource_group} (search in /etc/resolv.conf).",
            ),
            # Through SSH, name servers are asked over TCP, and the far machine may have nothing to ask over UDP with.
            Rule(
                "resolve",
                {"rcode": "TIMEOUT", "answered_over_udp": True},
                rank=44,
                alternatives=("DNS.NXDOMAIN", "DNS.NO_ADDRESS", "DNS.SERVER_FAILURE"),
                component="{name}",
                message="{resource_group} finds no address for {name}, and its name servers ({nameservers}) do not "
                "answer over TCP, which could tell why.",
                remedy="Ask on that machine: getent ahosts {name}; or let {nameservers} answer on TCP port 53.",
            ),
            Rule(
                "resolve",
                {"rcode": "TIMEOUT", "answered_over_udp": True, "look_up_hangs": True},
                rank=43,
                alternatives=("DNS.SERVER_FAILURE", "DNS.RESOLVER_DOWN"),
                component="{name}",
                message="Datagrams come back while {resource_group} looks {name} up, but the look-up does not end, and "
                "its name servers ({nameservers}) do not answer over TCP: answers that are too long for UDP end so.",
                remedy="Let {nameservers} answer on TCP port 53, and ask on that machine: getent ahosts {name}",
            ),
            Rule(
                "resolve",
                {"rcode": "TIMEOUT", "unheard_over_udp": True},
                rank=45,
                alternatives=("DNS.RESOLVER_DOWN", "DNS.SERVER_FAILURE", "DNS.NXDOMAIN"),
                component="{name}",
                message="The name servers of {resource_group} ({nameservers}) do not answer over TCP "
                "({name_servers_over_tcp}), and whether they do over UDP could not be seen.",
                remedy="Ask on that machine: getent ahosts {name}; or let {nameservers} answer on TCP port 53.",
            ),
            Rule(
                "connect",
                {"errno": "ECONNREFUSED", "refusal_unclear": True},
                rank=39,
                alternatives=("PORT.CLOSED", "FILTER.REJECT"),
                component="{address}:{port}",
                message="{address}:{port} is refused as seen from {resource_group}: no program listens, or a firewall "
                "refuses in its place.",
                remedy="See whether ICMP messages come back: tcpdump -ni any icmp, while this runs on that machine: "
                "nc -vz {address} {port}",
            ),
            Rule(
                "connect",
                {"channel_code": 2, "refusal_unclear": True},
                rank=42,
                alternatives=("FILTER.REJECT", "ROUTE.REMOTE_UNREACHABLE"),
                component="{address}:{port}",
                message="{address}:{port} cannot be reached from {resource_group} ({far_error}), and neither its "
                "neighbour table nor an echo tells who reports it.",
                remedy="Trace the route on that machine: traceroute -T -p {port} {address}; the last hop that answers "
                "is the one to ask.",
            ),
            # Routers answer some packets only: they limit how many such messages they send.
            Rule(
                "connect",
                {"silent": True, "other_port_icmp_from": bool, "other_port_icmp_code": frozenset({9, 10, 13})},
                rank=40,
                alternatives=("FILTER.REJECT", "FILTER.DROP"),
                component="{other_port_icmp_from}",
                message=_REPORTED,
                remedy="Ask the owner of {other_port_icmp_from} whether TCP from {source_cidr} to {address}:{port} is "
                "allowed.",
            ),
            Rule(
                "connect",
                {"silent": True, "other_port_icmp_from": bool},
                rank=41,
                alternatives=("ROUTE.REMOTE_UNREACHABLE", "FILTER.DROP", "FILTER.REJECT"),
                component="{other_port_icmp_from}",
                message=_REPORTED,
                remedy="Ask the owner of {other_port_icmp_from} about its route and its rules for {address}:{port}.",
            ),
            # A list is known that leaves this group out, in part at least: what drops may be that or a firewall.
            Rule(
                "connect",
                {"silent": True, "allowlist_standing": "unsure", "ports_that_answer": bool},
                rank=26,
                alternatives=("FILTER.DROP", "ADMIT.ALLOWLIST"),
                component="{address}:{port}",
                message=_MAYBE_LISTED,
                remedy=_CHECK_LIST,
            ),
            Rule(
                "connect",
                {"silent": True, "allowlist_standing": "unsure", "answers_ping": True},
                rank=27,
                alternatives=("FILTER.DROP", "ADMIT.ALLOWLIST"),
                component="{address}:{port}",
                message=_MAYBE_LISTED,
                remedy=_CHECK_LIST,
            ),
            Rule(
                "connect",
                {"silent": True, "allowlist_standing": _NOT_LISTED, "public": True, "canaries_asked": None},
                rank=55,
                alternatives=("ADMIT.ALLOWLIST", "FILTER.DROP", "HOST.DOWN", "ROUTE.NAT_MISSING"),
                component="{address}:{port}",
                message=f"{_SILENCE} {_LEFT_OUT}",
                remedy=_CHECK_LIST,
            ),
            Rule(
                "connect",
                {"silent": True, "allowlist_standing": _NOT_LISTED, "public": True, "canaries_that_answer": bool},
                rank=56,
                alternatives=("ADMIT.ALLOWLIST", "FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message=f"{_SILENCE} {_LEFT_OUT}",
                remedy=_CHECK_LIST,
            ),
            Rule(
                "connect",
                {"silent": True, "allowlist_standing": _NOT_LISTED, "public": None},
                rank=56,
                alternatives=("ADMIT.ALLOWLIST", "FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message=f"{_SILENCE} {_LEFT_OUT}",
                remedy=_CHECK_LIST,
            ),
            # The port leads nowhere from here, and the list leaves us out: either would do.
            Rule(
                "connect",
                {"silent": True, "allowlist_standing": _NOT_LISTED, "port_blocked": True, "host_answers": True},
                rank=24,
                alternatives=("FILTER.EGRESS", "ADMIT.ALLOWLIST", "FILTER.DROP"),
                component="{address}:{port}",
                message="{address} answers {answered_otherwise}, but nothing comes back from port {port}; "
                "{resource_group} gets no answer on that port from the canaries either. " + _LEFT_OUT,
                remedy="Look first whether a rule of {resource_group} forbids outgoing TCP port {port}; then add "
                "{source_cidr} ({entry_kind}) to the allowlist of the server.",
            ),
            Rule(
                None,
                {"broken": frozenset({"reset", "eof"}), "received_bytes": 0, "allowlist_standing": _NOT_LISTED},
                rank=55,
                alternatives=("ADMIT.ALLOWLIST", "PEER.RESET_EARLY"),
                component="{address}:{port}",
                message="{address}:{port} accepts the connection and drops it ({broken}) before its first word. "
                + _LEFT_OUT,
                remedy=_CHECK_LIST,
            ),
            # A proxy that is meant to be there may have passed this one on, and the peer be another's.
            Rule(
                None,
                {"accepts_for_everybody": bool, "another_protocol": True},
                rank=-11,
                alternatives=("FILTER.EGRESS", "PROTO.MISMATCH"),
                component="{address}:{port}",
                message="{address}:{port} speaks {looks_like} and not {protocol_title}, and so may a proxy on the way: "
                "connections to {accepts_for_everybody}, which nobody has, are accepted as well.",
                remedy="Let whoever runs the proxy of {resource_group} exempt TCP to {address}:{port}; then test "
                "again, and correct the port or the type of the data source if it still answers so.",
            ),
            # The canaries are public: what stops them on this port need not be what stops a private address.
            Rule(
                "connect",
                {"silent": True, "port_blocked": True, "host_answers": True},
                rank=28,
                alternatives=("FILTER.EGRESS", "FILTER.DROP"),
                component="{address}:{port}",
                message="{address} answers {answered_otherwise}, but nothing comes back from port {port}, and "
                "{resource_group} gets no answer on port {port} from the canaries either, though they answer "
                "otherwise.",
                remedy="Look first whether a rule of {resource_group} forbids outgoing TCP port {port}; else allow it "
                "on {address} from {source_cidr}.",
            ),
            # Canaries that let unknown ports wait do not tell a port that is shut on the way out from one of theirs.
            Rule(
                "connect",
                {"silent": True, "public": True, "host_answers": True, **_SILENT_CANARIES},
                rank=29,
                alternatives=("FILTER.EGRESS", "FILTER.DROP"),
                component="{address}:{port}",
                message="{address} answers {answered_otherwise}, but nothing comes back from port {port}, nor do the "
                "canaries ({canaries_asked}) answer {resource_group} on that port.",
                remedy=_DECLARE_CANARY,
            ),
            Rule(
                "connect",
                {"silent": True, "public": True, **_SILENT_CANARIES},
                rank=57,
                alternatives=("FILTER.EGRESS", "FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message=f"{_SILENCE} The canaries ({{canaries_asked}}) do not answer on port {{port}} either.",
                remedy=_DECLARE_CANARY,
            ),
            Rule(
                "connect",
                {"silent": True, "public": True, "canaries_asked": bool, "canaries_that_answer": lambda told: not told},
                rank=57,
                alternatives=("ROUTE.NAT_MISSING", "FILTER.EGRESS"),
                component="the way out of {resource_group}",
                message="Nothing comes back to {resource_group} from {address}:{port}, nor from any of the canaries "
                "({canaries_asked}).",
                remedy="See that {resource_group} has a NAT gateway with an EIP (or an EIP of its own), then whether "
                "its egress rules let TCP out; a test from another resource group shows whether the canaries are up.",
            ),
            Rule(
                "connect",
                {"silent": True, "public": True, "canaries_that_answer": bool},
                rank=58,
                alternatives=("FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message=_SILENCE,
                remedy=_DECIDE,
            ),
            Rule(
                "connect",
                {"further_connects": bool, "further_connects_answered": bool, "errno": "ECONNREFUSED"},
                rank=30,
                alternatives=("FILTER.REJECT", "PORT.CLOSED"),
                component="{address}:{port}",
                message="{address}:{port} refused a connection and accepted {further_connects_answered} of the next "
                "{further_connects}: a rate limit, or a load balancer with a backend that is down.",
                remedy="Look at the limits of {address}:{port} and of what stands before it, and at each of its "
                "backends.",
            ),
            # Where the far kernel's counters tell an RST from the rest, they have seen it a second time.
            Rule(
                "connect",
                {"further_connects_unanswered": bool, "errno": "ECONNREFUSED", "refused_by": None},
                rank=31,
                alternatives=("FILTER.REJECT", "PORT.CLOSED"),
                component="{address}:{port}",
                message="{address}:{port} refused a connection and left {further_connects_unanswered} of the next "
                "{further_connects} without an answer: a limit or a firewall, or packets are lost on the way.",
                remedy="Look at the limits and rules before {address}:{port}, and whether a program listens there: "
                "ss -ltn 'sport = :{port}'.",
            ),
            Rule(
                "connect",
                {"silent": True, "further_connects": bool, "further_connects_answered": bool},
                rank=29,
                alternatives=("FILTER.DROP", "CAPACITY.CONNECTIONS"),
                component="{address}:{port}",
                message="{address}:{port} left a connection request unanswered and accepted "
                "{further_connects_answered} of the next {further_connects}: a rate limit, packet loss, or a full "
                "queue of connections.",
                remedy="Look at the limits on the way to {address}:{port}, and at the server's queue of connections "
                "(Linux: TcpExtListenOverflows).",
            ),
            Rule(
                "connect",
                {"silent": True, "public": True},
                rank=60,
                alternatives=("FILTER.DROP", "HOST.DOWN", "ROUTE.NAT_MISSING"),
                component="{address}:{port}",
                message=_SILENCE,
                remedy=_DECIDE,
            ),
            Rule(
                "connect",
                {"silent": True},
                rank=61,
                alternatives=("FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message=_SILENCE,
                remedy=_DECIDE,
            ),
            Rule(
                "connect",
                {"errno": frozenset({"EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"})},
                rank=70,
                alternatives=("ROUTE.REMOTE_UNREACHABLE", "HOST.DOWN"),
                component="{address}",
                message="{address} cannot be reached ({errno}), and the network does not say who reports it.",
                remedy="Trace the route to {address}: the last hop that answers is the one to ask.",
            ),
            # The kernel of a host that hangs confirms what it is sent; one whose queue of connections is full does not.
            Rule(
                None,
                {**_MUTE, "unacknowledged": True, "received_bytes": 0},
                rank=56,
                alternatives=("FILTER.DROP", "CAPACITY.CONNECTIONS"),
                component="{address}:{port}",
                message="{address}:{port} accepts the connection, and then not even its kernel confirms what is sent "
                "({silent_ms} ms in stage {stage}): a firewall drops what follows the handshake, or the server's queue "
                "of connections is full.",
                remedy="Look at firewalls and NAT between {source_cidr} and {address} that lose or do not know "
                "connections of TCP port {port}; and on the server at its queue: ss -ltn 'sport = :{port}', "
                "TcpExtListenOverflows.",
            ),
            # It has conversed, so it was accepted; and small packets were tried by now (ROUTE.MTU).
            Rule(
                None,
                {**_MUTE, "unacknowledged": True, "received_bytes": bool},
                rank=56,
                alternatives=("FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message="{address}:{port} answers, and then not even its kernel confirms what is sent ({silent_ms} ms "
                "in stage {stage}): a firewall drops what is said there, or the host is gone.",
                remedy="Test again: if it ends in stage {stage} again, look at firewalls between {source_cidr} and "
                "{address} that inspect what passes TCP port {port}; else look whether the host {address} is up.",
            ),
            # A witness that could not be heard excludes nothing.
            Rule(
                None,
                {**_MUTE, "path_mtu_unknown": True, "acceptance_unheard": True},
                rank=57,
                alternatives=("PEER.MUTE", "ROUTE.MTU", "FILTER.EGRESS"),
                component="{address}:{port}",
                message=_HANGS,
                remedy=f"{_SMALL_PACKETS} Connect from there to 192.0.2.1 (IPv6: 2001:db8::1) port {{port}} too: "
                "nobody has that address, and whoever accepts is a proxy on the way.",
            ),
            Rule(
                None,
                {**_MUTE, "path_mtu_unknown": True},
                rank=58,
                alternatives=("PEER.MUTE", "ROUTE.MTU"),
                component="{address}:{port}",
                message=_HANGS,
                remedy=_SMALL_PACKETS,
            ),
            Rule(
                None,
                {**_MUTE, "acceptance_unheard": True},
                rank=59,
                alternatives=("PEER.MUTE", "FILTER.EGRESS"),
                component="{address}:{port}",
                message="{address}:{port} accepts connections and then says nothing ({silent_ms} ms in stage {stage}); "
                "whether a proxy on the way accepts in everybody's name could not be seen.",
                remedy="Connect from {resource_group} to an address that nobody has: nc -vz 192.0.2.1 {port} (IPv6: "
                "2001:db8::1). If that is accepted, let whoever runs the proxy exempt {address}:{port}; else look at "
                "the server.",
            ),
            # A server that gives no Kerberos error: most that speak SASL do not pass it on.
            Rule(
                None,
                {"kerberos_refused": "ticket"},
                rank=-1,
                alternatives=("AUTH.KERBEROS_KEYTAB", "AUTH.KERBEROS_CLOCK"),
                component="{service_principal}",
                message="{address}:{port} refuses the ticket for {service_principal} and does not say why "
                "({server_said}): its keytab does not hold the key that the KDC has now, or its clock is off.",
                remedy="On the server, compare the key versions (klist -kt KEYTAB, kvno {service_principal}) and set "
                "its clock by NTP; its log has the reason.",
                owner=Owner.DBA,
            ),
        ),
    ),
)
