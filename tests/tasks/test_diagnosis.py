"""Recorded evidence in, verdict out: every rule is met by the evidence that it was written for, and by no other."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import InvalidInput
from registry.verdict import INCONCLUSIVE, STAGES, State, Status
from tasks import causes, diagnosis
from tasks.evidence import Attempt, StageFailed, Trace, matches
from tasks.protocols.postgresql import PROTOCOL
from tests.tasks import hop_evidence
from tests.tasks.support import failed, target

_AT = {"address": "10.1.2.3", "port": 5432}
_HANGS = {"broken": "silent", "mute": True, "silent_ms": 4700.0, "received_bytes": 0}
_SILENT = {**_AT, "silent": True, "waited_ms": 3900, "ports_that_answer": [], "answers_ping": False}
_DNS = {"name": "db.example", "nameservers": ["10.0.0.53"], "from": "dns"}
_ICMP = {
    **_AT,
    "icmp_from": "10.9.9.1",
    "icmp_from_here": False,
    "icmp_from_peer": False,
    "icmp_version": 4,
    "icmp_type": 3,
}
_ICMP6 = {**_ICMP, "icmp_version": 6, "icmp_type": 1}
_TOLD = {"reason": "is missing", "where": "orders/prod/database", "instruction": "set database"}
_ROUTE = {"errno": "ENETUNREACH", "address": "10.1.2.3", "family": "IPv4", "from_name": False, "way_out": True}
_CERTIFICATE = {"subject": "CN=db", "issuer": "CN=CA", "names": ["db"], "not_before": "2025-01-01T00:00:00Z",
                "not_after": "2026-01-01T00:00:00Z"}  # fmt: skip
_CANARIES = {
    "canaries_asked": ["198.51.100.1:443"], "canaries_that_answer": ["198.51.100.1:443"],
    "canaries_elsewhere": ["198.51.100.1"],
}  # fmt: skip
_NEIGHBOUR = {"device": "eth0", "neighbour": "FAILED"}
_HOST_KEY = {
    "host_key_line": "ssh-ed25519 AAAA",
    "shown_fingerprint": "SHA256:aaa", "known_fingerprints": ["SHA256:bbb"], "known_from": "host_key",
}  # fmt: skip

_WANTED = {"instance": "rm-1", "region": "cn-hangzhou", "cloud": "alibaba"}
_SAID = {"cloud_error": "A.B", "cloud_action": "DescribeDBInstanceAttribute", "cloud_api": "rds.aliyuncs.com"}
_AUDIT = {"nat_lacks": "vpc-1", "nat_told": "the VPC vpc-1 has no Internet NAT gateway", "nat_remedy": "Create one"}
_ROLE = {"account": "1234", "role": "reader"}
_LACKS = {"allowlist_standing": "lacks", "allowlist": ["10.3.0.0/16"]}
_BY_PEER = {"icmp_code": 13, "errno": "EHOSTUNREACH", "icmp_from_peer": True}
_UNSURE = {**_LACKS, "allowlist_standing": "unsure"}

_TICKET = {"service_principal": "kafka/db.example.com@EXAMPLE.COM", "server_said": "no"}
_KERBEROS = {
    "principal": "app@EXAMPLE.COM",
    "keytab_versions": [1],
    "keytab_principals": ["old@EXAMPLE.COM"],
    "asked_for": "postgres/db.example.com@EXAMPLE.COM",
    "realm": "EXAMPLE.COM",
    "kdcs": ["kdc.example.com:88"],
    "kdc_outcomes": ["udp kdc.example.com:88: no answer"],
    "clock_skew_s": 3600,
    "server_said": "KRB-ERROR 37",
}


#: A failed stage, its evidence, the cause that it asserts.
EXAMPLES: tuple[tuple[str, dict[str, Any], str], ...] = (
    *hop_evidence.EXAMPLES,
    ("config", {"problem": "CONFIG.MISSING_FIELD", **_TOLD}, "CONFIG.MISSING_FIELD"),
    ("config", {"problem": "CONFIG.BAD_VALUE", **_TOLD}, "CONFIG.BAD_VALUE"),
    ("config", {"problem": "CONFIG.ENV_MISSING", **_TOLD}, "CONFIG.ENV_MISSING"),
    ("config", {"missing_module": "paramiko"}, "DRIVER.MISSING"),
    ("login", {"missing_module": "minikerberos", "extra": "kerberos"}, "DRIVER.MISSING"),
    ("login", {"bad_krb5_conf": "line 3: a brace is left open"}, "CONFIG.BAD_VALUE"),
    ("login", {**_KERBEROS, "kdc_unreachable": True, "kdcs": ["kdc:88"]}, "AUTH.KERBEROS_KDC"),
    ("login", {**_KERBEROS, "kdc_unreachable": True, "kdc_refused": True}, "AUTH.KERBEROS_KDC"),
    ("login", {**_KERBEROS, "no_kdc": True, "realm": "A"}, "AUTH.KERBEROS_KDC"),
    ("login", {**_KERBEROS, "kerberos_error": 29}, "AUTH.KERBEROS_KDC"),
    ("login", {**_KERBEROS, "kerberos_error": 37}, "AUTH.KERBEROS_CLOCK"),
    ("login", {**_KERBEROS, "kerberos_error": 37, "by_the_server": True}, "AUTH.KERBEROS_CLOCK"),
    ("login", {**_KERBEROS, "kerberos_error": 33}, "AUTH.KERBEROS_CLOCK"),
    ("login", {**_KERBEROS, "kerberos_error": 6}, "AUTH.KERBEROS_PRINCIPAL"),
    ("login", {**_KERBEROS, "kerberos_error": 7}, "AUTH.KERBEROS_PRINCIPAL"),
    ("login", {**_KERBEROS, "kerberos_error": 68}, "AUTH.KERBEROS_PRINCIPAL"),
    ("login", {**_KERBEROS, "kerberos_error": 24}, "AUTH.KERBEROS_KEYTAB"),
    ("login", {**_KERBEROS, "kerberos_error": 41, "by_the_server": True}, "AUTH.KERBEROS_KEYTAB"),
    ("login", {**_KERBEROS, "key_does_not_fit": True}, "AUTH.KERBEROS_KEYTAB"),
    ("login", {**_KERBEROS, "not_in_keytab": True}, "AUTH.KERBEROS_KEYTAB"),
    ("login", {**_KERBEROS, "no_usable_key": True}, "AUTH.KERBEROS_KEYTAB"),
    ("login", {**_KERBEROS, "bad_keytab": "it breaks off, or is damaged"}, "AUTH.KERBEROS_KEYTAB"),
    ("login", {**_KERBEROS, "kerberos_error": 12}, "AUTH.LOGIN_FORBIDDEN"),
    ("login", {**_KERBEROS, "kerberos_error": 18}, "AUTH.EXPIRED_OR_LOCKED"),
    ("login", {**_KERBEROS, "kerberos_error": 14}, "AUTH.METHOD_UNSUPPORTED"),
    ("login", {**_KERBEROS, **_TICKET, "kerberos_refused": "account"}, "AUTH.LOGIN_FORBIDDEN"),
    ("login", {**_KERBEROS, **_TICKET, "kerberos_refused": "ticket"}, INCONCLUSIVE),
    ("login", {**_KERBEROS, **_TICKET, "kerberos_proof": "wrong"}, "SERVER.ERROR"),
    ("login", {**_KERBEROS, "which_principal": True, "keytab_principals": ["a@B"]}, "AUTH.KERBEROS_KEYTAB"),
    ("config", {"problem": "DRIVER.MISSING", "reason": "r", "where": "w", "instruction": "i"}, "DRIVER.MISSING"),
    ("greet", {**_AT, "no_probe_for": "the protocol of DM"}, "DRIVER.MISSING"),
    ("login", {**_AT, "no_probe_for": "the login of DRDA"}, "DRIVER.MISSING"),
    ("instance", {**_WANTED, "missing_module": "boto3", "extra": "aws"}, "DRIVER.MISSING"),
    ("instance", {**_WANTED, "unsupported_type": "hologres"}, "DRIVER.MISSING"),
    ("instance", {**_WANTED, "problem": "CONFIG.MISSING_FIELD", **_TOLD}, "CONFIG.MISSING_FIELD"),
    ("instance", {**_WANTED, "problem": "CONFIG.BAD_VALUE", **_TOLD}, "CONFIG.BAD_VALUE"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "no_credentials"}, "CONFIG.SECRET_UNRESOLVED"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "bad_credentials"}, "AUTH.TOKEN"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "not_found"}, "INSTANCE.NOT_FOUND"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "not_found", "found_in": "region_id r2"}, "INSTANCE.NOT_FOUND"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "not_found", "cloud": "inventory"}, "INSTANCE.NOT_FOUND"),
    ("instance", {**_WANTED, "no_endpoint": True}, "INSTANCE.NOT_FOUND"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "denied"}, "INSTANCE.ROLE_DENIED"),
    ("instance", {**_WANTED, **_SAID, **_ROLE, "cloud_answer": "denied"}, "INSTANCE.ROLE_DENIED"),
    ("instance", {**_WANTED, **_SAID, **_ROLE, "cloud_answer": "denied", "cloud": "inventory"}, "INSTANCE.ROLE_DENIED"),
    ("instance", {**_WANTED, "stopped": True, "status": "Stopped"}, "INSTANCE.STOPPED"),
    ("instance", {**_WANTED, **_SAID, "cloud_answer": "failing"}, "PROBE.AGENT_DOWN"),
    ("instance", {**_WANTED, "cloud_answer": "silent"}, "PROBE.DEADLINE"),
    ("credentials", _TOLD, "CONFIG.SECRET_UNRESOLVED"),
    ("resolve", {**_DNS, "rcode": "NXDOMAIN"}, "DNS.NXDOMAIN"),
    ("resolve", {**_DNS, "rcode": "NXDOMAIN", "alias_end": "gone.example"}, "DNS.NXDOMAIN"),
    ("resolve", {**_DNS, "rcode": "NOERROR"}, "DNS.NO_ADDRESS"),
    ("resolve", {**_DNS, "rcode": "NOERROR", "alias_end": "empty.example"}, "DNS.NO_ADDRESS"),
    ("resolve", {**_DNS, "rcode": "NOERROR", "cname_loop": True}, "DNS.NO_ADDRESS"),
    ("resolve", {**_DNS, "rcode": "SERVFAIL"}, "DNS.SERVER_FAILURE"),
    ("resolve", {**_DNS, "rcode": "TIMEOUT", "other_names_answered": False}, "DNS.RESOLVER_DOWN"),
    ("resolve", {**_DNS, "rcode": "TIMEOUT", "other_names_answered": True}, INCONCLUSIVE),
    ("resolve", {**_DNS, "rcode": "TIMEOUT", "searched": "db.corp", "other_names_answered": True}, INCONCLUSIVE),
    ("resolve", {**_DNS, "rcode": "TIMEOUT", "truncated": True, "other_names_answered": True}, "DNS.SERVER_FAILURE"),
    ("route", {"forbidden": "a link-local address", "address": "169.254.1.1"}, "POLICY.FORBIDDEN_TARGET"),
    ("route", {"forbidden": "unspecified", "address": "0.0.0.0", "nobodys": True}, "POLICY.FORBIDDEN_TARGET"),
    ("route", _ROUTE, "ROUTE.NONE"),
    ("route", {**_ROUTE, "public": True, "way_out": False}, "ROUTE.NAT_MISSING"),
    ("route", {**_ROUTE, "public": True, "way_out": False, **_AUDIT}, "ROUTE.NAT_MISSING"),
    ("connect", {**_AT, "silent": True, "public": True, **_AUDIT}, "ROUTE.NAT_MISSING"),
    ("connect", {**_AT, **_LACKS, "silent": True, "list_of_cloud": "aws"}, "ADMIT.ALLOWLIST"),
    ("connect", {**_AT, **_LACKS, "errno": "ECONNREFUSED", "list_of_cloud": "aws"}, "ADMIT.ALLOWLIST"),
    ("greet", {**_AT, **_LACKS, "broken": "eof", "received_bytes": 0, "list_of_cloud": "aws"}, "ADMIT.ALLOWLIST"),
    ("route", {**_ROUTE, "from_name": True, "way_out": False, "way_out_other_family": True}, "DNS.NO_USABLE_FAMILY"),
    ("connect", {**_AT, "errno": "ECONNREFUSED"}, "PORT.CLOSED"),
    ("connect", {**_AT, "errno": "ECONNREFUSED", "default_port_answers": True}, "PORT.PROBABLY_TYPO"),
    ("connect", {"address": "/run/pg", "errno": "ENOENT", "unix": True}, "PORT.CLOSED"),
    ("connect", {"address": "/run/pg", "errno": "ECONNREFUSED", "unix": True}, "PORT.CLOSED"),
    ("connect", {"address": "/run/pg", "errno": "EACCES", "unix": True}, "ADMIT.ALLOWLIST"),
    ("connect", {**_AT, "errno": "ECONNRESET"}, "PEER.RESET_EARLY"),
    ("connect", {**_AT, "errno": "EPERM"}, "FILTER.REJECT"),
    ("connect", {**_ICMP, "errno": "ECONNREFUSED", "icmp_code": 3}, "FILTER.REJECT"),
    ("connect", {**_ICMP, "errno": "EHOSTUNREACH", "icmp_code": 13}, "FILTER.REJECT"),
    ("connect", {**_ICMP6, "errno": "EACCES", "icmp_code": 1}, "FILTER.REJECT"),
    ("connect", {**_ICMP, "errno": "EHOSTUNREACH", "icmp_code": 1, "icmp_from_peer": True}, "FILTER.REJECT"),
    ("connect", {**_ICMP, "errno": "EHOSTUNREACH", "icmp_code": 1, "icmp_from_here": True, "neighbour": "REACHABLE"},
     "FILTER.REJECT"),
    ("connect", {**_ICMP, "errno": "EHOSTUNREACH", "icmp_code": 1}, "ROUTE.REMOTE_UNREACHABLE"),
    ("connect", {**_ICMP6, "errno": "ENETUNREACH", "icmp_code": 0}, "ROUTE.REMOTE_UNREACHABLE"),
    ("connect", {**_AT, "errno": "EHOSTUNREACH"}, INCONCLUSIVE),
    ("connect", {**_SILENT, **_NEIGHBOUR}, "HOST.DOWN"),
    ("connect", {**_SILENT, **_NEIGHBOUR, "neighbour": "INCOMPLETE", "gateway": "10.1.2.1"}, "HOST.DOWN"),
    ("connect", {**_SILENT, "ports_that_answer": [22]}, "FILTER.DROP"),
    ("connect", {**_SILENT, "answers_ping": True}, "FILTER.DROP"),
    ("connect", {**_SILENT, "hasty": True}, "PROBE.DEADLINE"),
    ("tls", {"not_tls": True, "first_bytes": "-ERR", "looks_like": "Redis", "another_protocol": True},
     "PROTO.MISMATCH"),
    ("connect", {**_SILENT, "other_port_icmp_from": "10.9.9.1", "other_port_icmp_type": 3, "other_port_icmp_code": 13},
     INCONCLUSIVE),
    ("connect", {**_SILENT, "other_port_icmp_from": "10.9.9.1", "other_port_icmp_type": 3, "other_port_icmp_code": 1},
     INCONCLUSIVE),
    ("connect", {**_SILENT, "public": True}, INCONCLUSIVE),
    ("connect", _SILENT, INCONCLUSIVE),
    ("connect", {**_SILENT, "public": True, "no_nat_declared": True}, "ROUTE.NAT_MISSING"),
    ("connect", {**_ICMP, "errno": "ENETUNREACH", "icmp_code": 0, "public": True, "no_nat_declared": True},
     "ROUTE.NAT_MISSING"),
    ("connect", {**_SILENT, **_CANARIES, "public": True, "no_nat_declared": True}, INCONCLUSIVE),
    ("connect", {**_SILENT, **_CANARIES, "public": True, "canaries_that_answer": []}, INCONCLUSIVE),
    ("connect", {**_SILENT, **_CANARIES, "public": True, "canaries_on_port": []}, INCONCLUSIVE),
    ("connect", {**_SILENT, **_CANARIES, "public": True, "canaries_on_port": ["198.51.100.1"]}, INCONCLUSIVE),
    ("connect", {**_SILENT, **_CANARIES, "public": True, "canaries_on_port": [], "ports_that_answer": [22],
                 "host_answers": True}, INCONCLUSIVE),
    ("connect", {**_SILENT, **_CANARIES, "public": True, "port_blocked": True, "egress_blocked": True},
     "FILTER.EGRESS"),
    ("connect", {**_ICMP, **_CANARIES, "errno": "EHOSTUNREACH", "icmp_code": 13, "public": True,
                 "port_blocked": True, "egress_blocked": True}, "FILTER.EGRESS"),
    ("connect", {**_SILENT, **_CANARIES, "port_blocked": True, "answers_ping": True, "host_answers": True},
     INCONCLUSIVE),
    ("connect", {**_SILENT, "further_connects": 3, "further_connects_answered": 2}, INCONCLUSIVE),
    ("connect", {**_AT, "errno": "ECONNREFUSED", "further_connects": 3, "further_connects_answered": 1}, INCONCLUSIVE),
    ("connect", {**_AT, "errno": "ECONNREFUSED", "further_connects": 2, "further_connects_unanswered": 2},
     INCONCLUSIVE),
    ("greet", {"broken": "reset", "received_bytes": 0, "accepts_for_everybody": "192.0.2.1"}, "FILTER.EGRESS"),
    ("greet", {"not_protocol": True, "first_bytes": "HTTP/1.1", "looks_like": "HTTP", "another_protocol": True,
               "accepts_for_everybody": "192.0.2.1"}, INCONCLUSIVE),
    ("tls", {"broken": "silent", "path_mtu": 1240, "vanishing_packet": 1250, "largest_segment": 1200,
             "received_bytes": 9}, "ROUTE.MTU"),
    ("greet", {"broken": "eof", "received_bytes": 0, "inside_tls": "answers"}, "TLS.REQUIRED"),
    ("tls", {**_HANGS, "path_mtu_unknown": True}, INCONCLUSIVE),
    ("greet", {**_HANGS, "acceptance_unheard": True}, INCONCLUSIVE),
    ("greet", {**_HANGS, "unacknowledged": True}, INCONCLUSIVE),
    ("tls", {**_HANGS, "unacknowledged": True, "received_bytes": 1}, INCONCLUSIVE),
    ("tls", {**_HANGS, "path_mtu_unknown": True, "acceptance_unheard": True}, INCONCLUSIVE),
    ("tls", {**_HANGS, "not_tls": True, "looks_like": "MySQL"}, "TLS.NOT_OFFERED"),
    ("connect", {"interrupted": True}, "PROBE.DEADLINE"),
    ("connect", {**_AT, "errno": "EMFILE"}, "PROBE.AGENT_DOWN"),
    ("connect", {**_AT, "errno": "EADDRNOTAVAIL"}, "PROBE.AGENT_DOWN"),
    ("greet", {"broken": "silent", "mute": True, "silent_ms": 4700.0, "received_bytes": 0}, "PEER.MUTE"),
    ("greet", {"broken": "silent", "mute": False, "silent_ms": 100.0, "received_bytes": 9}, "PROBE.DEADLINE"),
    ("greet", {"broken": "eof", "received_bytes": 0}, "PEER.RESET_EARLY"),
    ("greet", {"broken": "silent", "mute": True, "looks_like": "Redis"}, "PROTO.MISMATCH"),
    ("greet", {"not_protocol": True, "first_bytes": "HTTP/1.1", "looks_like": "HTTP"}, "PROTO.MISMATCH"),
    ("greet", {"host_key": "changed", **_HOST_KEY}, "PEER.HOST_KEY"),
    ("greet", {"host_key": "revoked", **_HOST_KEY}, "PEER.HOST_KEY"),
    ("connect", {**_AT, "errno": "EHOSTUNREACH", "icmp_version": 4, "icmp_type": 11, "icmp_code": 0,
                 "icmp_from": "10.1.3.1", "icmp_from_here": False}, "ROUTE.REMOTE_UNREACHABLE"),
    ("connect", {**_AT, "errno": "EHOSTUNREACH", "icmp_version": 6, "icmp_type": 3, "icmp_code": 0,
                 "icmp_from": "fd00::1", "icmp_from_here": False}, "ROUTE.REMOTE_UNREACHABLE"),
    ("connect", {**_AT, **_LACKS, "silent": True, "ports_that_answer": [22]}, "ADMIT.ALLOWLIST"),
    ("connect", {**_AT, **_LACKS, "silent": True, "ports_that_answer": [], "answers_ping": True}, "ADMIT.ALLOWLIST"),
    ("connect", {**_AT, **_LACKS, **_ICMP, **_BY_PEER}, "ADMIT.ALLOWLIST"),
    ("connect", {**_AT, **_UNSURE, "silent": True, "ports_that_answer": [22]}, INCONCLUSIVE),
    ("connect", {**_AT, **_UNSURE, "silent": True, "answers_ping": True}, INCONCLUSIVE),
    ("connect", {**_AT, **_LACKS, "silent": True, "public": True}, INCONCLUSIVE),
    ("connect", {**_AT, **_LACKS, "silent": True, "public": True, "canaries_that_answer": ["9.9.9.9:53"],
                 "canaries_asked": ["9.9.9.9:53"]}, INCONCLUSIVE),
    ("connect", {**_AT, **_LACKS, "silent": True, "port_blocked": True, "host_answers": True, "answers_ping": True},
     INCONCLUSIVE),
    ("connect", {**_AT, **_LACKS, "silent": True}, INCONCLUSIVE),
    ("greet", {"broken": "reset", "received_bytes": 0, **_LACKS}, INCONCLUSIVE),
    ("login", {"broken": "reset", "received_bytes": 40}, "SERVER.ERROR"),
    ("tls", {"tls_refused": True}, "TLS.NOT_OFFERED"),
    ("tls", {"not_tls": True, "tls_error": "WRONG_VERSION_NUMBER"}, "TLS.NOT_OFFERED"),
    ("tls", {"bad_file": "truststore_file"}, "CONFIG.BAD_VALUE"),
    ("tls", {"bad_file": "keystore_file", "tls_error": "KEY_VALUES_MISMATCH"}, "TLS.CLIENT_CERT"),
    ("tls", {"tls_error": "UNSUPPORTED_PROTOCOL"}, "TLS.VERSION_OR_CIPHER"),
    ("tls", {"tls_error": "TLSV1_ALERT_PROTOCOL_VERSION", "alert": 70}, "TLS.VERSION_OR_CIPHER"),
    ("tls", {"tls_error": "SSLV3_ALERT_HANDSHAKE_FAILURE", "alert": 40, "server_hello": True}, "TLS.CLIENT_CERT"),
    ("admit", {"broken": "tls", "tls_error": "TLSV13_ALERT_CERTIFICATE_REQUIRED", "alert": 116}, "TLS.CLIENT_CERT"),
    ("tls", {"verify_code": 20, **_CERTIFICATE}, "TLS.UNTRUSTED_CA"),
    ("tls", {"verify_code": 62, **_CERTIFICATE}, "TLS.NAME_MISMATCH"),
    ("tls", {"verify_code": 62, **_CERTIFICATE, "names": []}, "TLS.NAME_MISMATCH"),
    ("tls", {"verify_code": 10, **_CERTIFICATE, "in_time": True}, "TLS.EXPIRED"),
    ("tls", {"verify_code": 10, **_CERTIFICATE, "in_time": False}, "TLS.EXPIRED"),
    ("tls", {"verify_code": 9, **_CERTIFICATE, "in_time": True}, "TLS.NOT_YET_VALID"),
    ("tls", {"verify_code": 9, **_CERTIFICATE}, "TLS.NOT_YET_VALID"),
    ("tls", {"verify_code": 26, "verify_error": "unsuitable certificate purpose", **_CERTIFICATE}, "TLS.UNTRUSTED_CA"),
    ("tls", {"verify_code": 47, "verify_error": "permitted subtree violation", **_CERTIFICATE}, "TLS.UNTRUSTED_CA"),
    ("tls", {"verify_code": 67, "verify_error": "CA key too weak", **_CERTIFICATE}, "TLS.VERSION_OR_CIPHER"),
    ("tls", {"tls_error": "TLSV1_UNRECOGNIZED_NAME", "alert": 112}, "TLS.NAME_MISMATCH"),
    ("tls", {"tls_error": "SSL", "alert": 120}, "PROTO.MISMATCH"),
)  # fmt: skip


def _first(stage: str, evidence: dict[str, Any]) -> tuple[str, causes.Rule | None]:
    """What fits first; an error of the peer's own where nothing does."""
    fitting = (row for row in causes.rules() if row[1].stage in (None, stage) and matches(evidence, row[1].when))
    return next(fitting, ("SERVER.ERROR", None))


def _attempt(stage: str) -> Attempt:
    attempt = Attempt("db.example", 5432, "10.1.2.3")
    if STAGES.index(stage) > STAGES.index("connect"):
        with attempt.steps.stage("connect") as recorder:
            recorder.see(source_address="10.1.9.9")
    return attempt


@pytest.mark.parametrize(("stage", "evidence", "code"), EXAMPLES)
def test_evidence_asserts_its_cause_in_whole_sentences(stage: str, evidence: dict[str, Any], code: str) -> None:
    # PostgreSQL offers TLS by a word of its own and says more about a peer that then speaks none.
    subject = target(type="mysql", properties={}) if "not_tls" in evidence else target()
    finding = diagnosis.explain(subject, failed(stage, evidence), _attempt(stage), timeout_s=5)
    assert _first(stage, evidence)[0] == code
    assert finding.code == code
    assert bool(finding.alternatives) == (code == INCONCLUSIVE)
    for text in (finding.component, finding.message, finding.remedy):
        assert text.strip(), finding
        assert "?" not in text, finding


def test_every_rule_is_the_first_to_fit_something() -> None:
    met = {id(_first(stage, evidence)[1]) for stage, evidence, _ in EXAMPLES}
    # Each way in which a worker takes no work has an example of its own beside the code that finds it.
    rest = [(code, rule) for code, rule in causes.rules() if "agent" not in rule.when]
    assert [(code, rule.stage, rule.when) for code, rule in rest if id(rule) not in met] == []


_REFUSED = {
    "sqlstate": "28000",
    "sqlstate_class": "28",
    "routine": "ClientAuthentication",
    "server_said": "SQLSTATE 28000",
}
_UNKNOWN = {**_REFUSED, "routine": "InitializeSessionUserId"}


def _sql(state: str, **more: Any) -> dict[str, Any]:
    return {"sqlstate": state, "sqlstate_class": state[:2], "server_said": f"SQLSTATE {state}", **more}


POSTGRESQL: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("tls", {"not_tls": True, "looks_like": "HTTP", "first_bytes": "HTTP/1.1 400"}, "PROTO.MISMATCH"),
    ("admit", {**_REFUSED, "over_tls": False, "other_way": "admitted"}, "TLS.REQUIRED"),
    ("admit", {**_REFUSED, "over_tls": False, "other_way": "tls failed"}, INCONCLUSIVE),
    ("admit", {**_REFUSED, "over_tls": True, "other_way": "refused", "certificate_asked": True}, INCONCLUSIVE),
    ("admit", {**_REFUSED, "over_tls": True, "other_way": "admitted"}, "ADMIT.ALLOWLIST"),
    ("admit", {**_REFUSED, "over_tls": True, "other_way": "refused"}, "ADMIT.ALLOWLIST"),
    ("admit", {**_REFUSED, "over_tls": False, "other_way": "not offered"}, "ADMIT.ALLOWLIST"),
    ("target", {**_UNKNOWN, "password_proved": True}, "AUTH.LOGIN_FORBIDDEN"),
    ("target", _UNKNOWN, INCONCLUSIVE),
    ("admit", {**_REFUSED, "over_tls": False, "servers_differ": True}, INCONCLUSIVE),
    ("admit", {**_REFUSED, "routine": "auth_failed"}, "AUTH.METHOD_UNSUPPORTED"),
    ("login", _sql("28P01", routine="auth_failed"), "AUTH.BAD_CREDENTIALS"),
    ("login", {"no_password": True}, "AUTH.BAD_CREDENTIALS"),
    ("login", {"method": "GSSAPI", "unsupported": True}, "AUTH.METHOD_UNSUPPORTED"),
    ("login", {"server_proof": "wrong", "method": "SCRAM-SHA-256"}, "AUTH.METHOD_UNSUPPORTED"),
    ("target", _sql("3D000", routine="InitPostgres"), "TARGET.MISSING"),
    ("target", _sql("42501", routine="CheckMyDatabase"), "TARGET.NO_CONNECT"),
    ("login", _sql("42501", routine="CheckMyDatabase"), "TARGET.NO_CONNECT"),
    ("target", _sql("55000", routine="CheckMyDatabase"), "TARGET.NO_CONNECT"),
    ("admit", _sql("53300", routine="ProcArrayAdd"), "CAPACITY.CONNECTIONS"),
    ("admit", _sql("57P03", routine="ProcessStartupPacket"), "SERVER.NOT_READY"),
    ("privilege", _sql("28P01", routine="exec_stmt_raise", object="orders"), "SERVER.ERROR"),
    ("privilege", _sql("22P05", object="orders"), "TARGET.OBJECT_MISSING"),
    ("privilege", _sql("42P01", object="orders"), "TARGET.OBJECT_MISSING"),
    (
        "privilege",
        {**_sql("42501", object="orders"), "lacks": "SELECT on orders", "grants": "GRANT SELECT ON orders;"},
        "PRIV.OBJECT_DENIED",
    ),
    ("privilege", _sql("42501", object="orders"), "PRIV.OBJECT_DENIED"),
    ("privilege", {"nothing_readable": True, "object": "any table of shop"}, "PRIV.OBJECT_DENIED"),
    ("privilege", {"broken": "silent", "mute": True, "silent_ms": 4500.0, "object": "t"}, "PROBE.DEADLINE"),
    ("privilege", {"wrong_role": True}, "SERVER.WRONG_ROLE"),
    ("target", _sql("XX000"), "SERVER.ERROR"),
    ("target", _sql("53100"), "SERVER.ERROR"),
)


@pytest.mark.parametrize(("stage", "evidence", "code"), POSTGRESQL)
def test_what_postgresql_answers(stage: str, evidence: dict[str, Any], code: str) -> None:
    finding = diagnosis.explain(target(), failed(stage, evidence), _attempt(stage), timeout_s=5)
    assert finding.code == code
    for text in (finding.component, finding.message, finding.remedy):
        assert text.strip(), finding
        assert "?" not in text, finding


def test_every_row_of_postgresql_is_the_first_to_fit_something() -> None:
    def first(stage: str, evidence: dict[str, Any]) -> object:
        fitting = (row for row in PROTOCOL.answers if row.stage in (None, stage) and matches(evidence, row.when))
        return next(fitting, None)

    met = {id(first(stage, evidence)) for stage, evidence, _ in POSTGRESQL}
    assert [(row.code, row.when) for row in PROTOCOL.answers if id(row) not in met] == []


def test_words_of_the_server_decide_nothing() -> None:
    for words in ("no pg_hba.conf entry", "Passwort-Authentifizierung fehlgeschlagen", "数据库不存在", ""):
        finding = diagnosis.explain(target(), failed("login", _sql("28P01", server_message=words)), None)
        assert finding.code == "AUTH.BAD_CREDENTIALS"


def test_state_of_an_inconclusive_verdict_is_that_of_its_first_alternative() -> None:
    finding = diagnosis.explain(target(), failed("connect", _SILENT), _attempt("connect"))
    assert finding.state is State.UNREACHABLE
    finding = diagnosis.explain(target(), failed("target", _UNKNOWN), _attempt("target"))
    assert finding.state is State.CONFIG_ERROR


def test_every_stage_stands_in_the_verdict_once_and_in_order() -> None:
    trace = Trace(facts={"timeout_s": 5})
    with pytest.raises(StageFailed), trace.head.stage("config"):
        raise StageFailed(problem="CONFIG.BAD_VALUE", **_TOLD)
    verdict = diagnosis.diagnose(target(), trace, started_at="2026-01-01T00:00:00Z", elapsed_ms=1)
    assert [stage.name for stage in verdict.stages] == list(STAGES)
    assert [stage.status for stage in verdict.stages] == [Status.FAILED] + [Status.SKIPPED] * (len(STAGES) - 1)
    assert verdict.component == "orders/prod/database"


def _trace(*attempts: Attempt) -> Trace:
    trace = Trace(facts={"timeout_s": 5})
    trace.attempts += attempts
    return trace


def _walked(address: str, *stages: str, fails: dict[str, Any] | None = None) -> Attempt:
    attempt = Attempt("db.example", 5432, address)
    for name in stages[:-1] if fails else stages:
        with attempt.steps.stage(name):
            pass
    if fails:
        with pytest.raises(StageFailed), attempt.steps.stage(stages[-1]):
            raise StageFailed(**fails)
    return attempt


def test_the_address_that_got_furthest_tells_the_cause() -> None:
    closed = _walked("10.1.2.3", "route", "connect", fails={"errno": "ECONNREFUSED"})
    missing = _walked("10.1.2.4", "route", "connect", "greet", "login", "target", fails=_sql("3D000"))
    verdict = diagnosis.diagnose(target(), _trace(closed, missing), started_at="", elapsed_ms=1)
    assert verdict.cause == "TARGET.MISSING"


def test_a_good_address_makes_the_others_a_warning_with_their_cause() -> None:
    closed = _walked("10.1.2.3", "route", "connect", fails={"errno": "ECONNREFUSED"})
    good = _walked("10.1.2.4", "route", "connect", "greet", "privilege")
    verdict = diagnosis.diagnose(target(), _trace(closed, good), started_at="", elapsed_ms=1)
    assert verdict.state is State.CONNECTABLE
    (warning,) = verdict.warnings
    assert warning.code == "DNS.SOME_ADDRESSES_FAIL"
    assert "10.1.2.3:5432: PORT.CLOSED" in warning.message


def test_no_address_walked_to_its_end_is_no_success() -> None:
    verdict = diagnosis.diagnose(target(), _trace(Attempt("db", 1, "10.1.2.3")), started_at="", elapsed_ms=1)
    assert verdict.cause == "PROBE.DEADLINE"
    half = _trace(_walked("10.1.2.3", "route", "connect"))
    assert diagnosis.diagnose(target(), half, started_at="", elapsed_ms=1).cause == "PROBE.DEADLINE"


def test_a_success_stands_though_another_address_used_up_the_time() -> None:
    good = _walked("10.1.2.4", "route", "connect", "greet", "privilege")
    trace = _trace(_walked("10.1.2.3", "route"), good)
    verdict = diagnosis.diagnose(target(), trace, started_at="", elapsed_ms=1)
    assert verdict.state is State.CONNECTABLE
    assert "10.1.2.3:5432: no answer in time" in verdict.warnings[0].message


def test_braces_in_what_a_peer_says_are_no_template() -> None:
    said = {"not_protocol": True, "first_bytes": "{0} {username.__class__}", "looks_like": "{broken}"}
    finding = diagnosis.explain(target(), failed("greet", said), _attempt("greet"))
    assert "{username.__class__}" in finding.message


def test_faulty_configuration_of_any_kind_keeps_its_own_words() -> None:
    problem = InvalidInput("is no port", where="orders/prod/port", instruction="use 1-65535")
    evidence = {"problem": "CONFIG.BAD_VALUE", "reason": problem.reason, "where": problem.where,
                "instruction": problem.instruction}  # fmt: skip
    finding = diagnosis.explain(target(), failed("config", evidence), None)
    assert (finding.component, finding.message, finding.remedy) == ("orders/prod/port", "is no port", "use 1-65535")


@pytest.mark.parametrize(
    ("evidence", "owner"),
    [
        ({"kerberos_error": 31, "asked_for": "postgres/db", "by_the_server": True, "server_said": "31"}, "dba"),
        ({"kerberos_refused": "ticket", "service_principal": "hive/db", "server_said": "3"}, "dba"),
        ({"kerberos_error": 24, "principal": "app", "keytab_versions": [1]}, "user"),
    ],
)
def test_a_stale_keytab_is_mended_by_whoever_keeps_it(evidence: dict[str, Any], owner: str) -> None:
    assert diagnosis.explain(target(), failed("login", evidence), None).owner == owner


def test_an_address_of_ipv6_is_told_from_its_port() -> None:
    seen = {"silent": True, "address": "fd77:2::10", "port": 5432, "ports_that_answer": [22, 80]}
    finding = diagnosis.explain(target(), failed("connect", seen), None)
    assert finding.component == "[fd77:2::10]:5432"
    assert "fd77:2::10 answers on ports 22, 80, but nothing comes back from port 5432" in finding.message


def test_a_redirect_stage_decides_which_rules_are_asked() -> None:
    closed = {"errno": "ECONNREFUSED", "address": "10.0.0.9", "port": 81}
    there = {**closed, "redirected_to": "http://other/", "redirect_stage": "connect"}
    assert diagnosis.explain(target(), failed("target", there), None).code == "PORT.CLOSED"
    assert diagnosis.explain(target(), failed("target", closed), None).code != "PORT.CLOSED"


def test_an_address_that_the_hosts_file_binds_is_told_beside_what_is_wrong_with_the_network() -> None:
    def told(stage: str, **evidence: Any) -> str:
        found = diagnosis.explain(target(), failed(stage, {**evidence, "bound_in_hosts": True}), _attempt(stage))
        return found.message

    assert "hosts file" in told("connect", errno="ECONNREFUSED", address="10.1.2.3", port=5432)
    assert "hosts file" not in told("login", **_sql("28P01", routine="auth_failed"))


def test_a_server_that_has_answered_has_room_in_its_queue_of_connections() -> None:
    first, later = (
        diagnosis.explain(target(), failed("tls", {**_HANGS, "unacknowledged": True, "received_bytes": count}), None)
        for count in (0, 1)
    )
    assert set(first.alternatives) == {"FILTER.DROP", "CAPACITY.CONNECTIONS"}
    assert set(later.alternatives) == {"FILTER.DROP", "HOST.DOWN"}
    assert "queue" not in f"{later.message} {later.remedy}"


def test_a_protocol_is_not_told_from_itself() -> None:
    evidence = {"not_protocol": True, "looks_like": "PostgreSQL", "first_bytes": "R"}
    finding = diagnosis.explain(target(), failed("greet", evidence), _attempt("greet"))
    assert "something like it that breaks its rules" in finding.message
