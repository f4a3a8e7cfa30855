"""Evidence as an SSH vantage records it, and the cause that it asserts: for every rule of its own at least once."""

from __future__ import annotations

from typing import Any

_HOP = {
    "hop": "10.9.9.9:2222",
    "hop_host": "10.9.9.9",
    "hop_port": 2222,
    "hop_role": "SSH host",
    "hop_user": "probe",
    "hop_settings": "resource_groups/vpc1.ssh",
    "hop_login": "-p 2222 probe@10.9.9.9",
    "hop_keyscan": "-p 2222 10.9.9.9",
    "hop_address": "10.9.9.9",
}
_OFFERED = {f"hop_{name}_offered": ["one"] for name in ("key_exchange", "host_keys", "ciphers")}
_SHOWN = {
    "shown_fingerprint": "SHA256:shown",
    "host_key_line": "ssh-ed25519 AAAA",
    "known_hosts_line": "[10.9.9.9]:2222 ssh-ed25519 AAAA",
    "hop_known_as": "[10.9.9.9]:2222",
    "host_key_file": "/etc/ssh/ssh_host_ed25519_key.pub",
}
_TRIED = {"tried": ["private_key"], "allowed_methods": ["publickey"]}
_TARGET = {"forward_target": "10.1.2.3:5432", "channel_code": 1}

_FAULTS: dict[str, list[dict[str, Any]]] = {
    "TUNNEL.UNREACHABLE": [
        {"tunnel": "name", "hop_rcode": "NXDOMAIN"},
        {"tunnel": "refused"},
        {"tunnel": "unreachable", "hop_errno": "ENETUNREACH"},
        {"tunnel": "silent", "phase": "connect"},
        {"tunnel": "silent", "phase": "greet"},
        {"tunnel": "silent", "phase": "login"},
        {"tunnel": "startups"},
        {"tunnel": "not_ssh", "hop_speaks": "HTTP"},
        {"tunnel": "not_ssh", "hop_looks_like": "PostgreSQL"},
        {"tunnel": "hung_up", "phase": "greet"},
        {"tunnel": "disconnected", "hop_disconnect_code": 11},
        {"tunnel": "algorithms", **_OFFERED},
        {"tunnel": "version", "hop_ssh_version": "SSH-1.5-old"},
        {"tunnel": "lost"},
        {"tunnel": "hangs", "hop_unanswered_ms": 2000, "hop_slowest_answer_ms": 1.5},
        {"tunnel": "shortage"},
    ],
    "TUNNEL.AUTH": [
        {"tunnel": "key_refused", **_TRIED},
        {"tunnel": "password_refused", **_TRIED},
        {"tunnel": "too_many_failures", **_TRIED},
        {"tunnel": "methods", **_TRIED},
        {"tunnel": "hung_up_after_login"},
        {"tunnel": "no_credentials"},
        {"tunnel": "agent", "agent_socket": "unset"},
        {"tunnel": "key", "bad_key": "encrypted"},
        {"tunnel": "key", "bad_key": "wrong password"},
        {"tunnel": "key", "bad_key": "unreadable"},
        {"tunnel": "certificate", "reason": "it expired on 2026-01-01 00:00 UTC"},
    ],
    "TUNNEL.HOST_KEY": [
        {"tunnel": "host_key_unknown", **_SHOWN},
        {"tunnel": "host_key_changed", **_SHOWN, "known_from": "host_key", "known_fingerprints": ["SHA256:known"]},
        {"tunnel": "host_key_revoked", **_SHOWN},
        {"tunnel": "host_certificate", "reason": "it is for b, not for a", **_SHOWN},
        {"tunnel": "host_key_value", "reason": "the key is not in base64"},
    ],
    "TUNNEL.FORWARD_DENIED": [
        {"tunnel": "forward_denied", **_TARGET},
        {"tunnel": "forward_unknown", **_TARGET},
        {"tunnel": "no_names"},
    ],
    "CONFIG.SECRET_UNRESOLVED": [
        {
            "tunnel": "secret",
            "reason": "the environment variable KEY is not set",
            "where": "resource_groups/vpc1.ssh.private_key",
            "instruction": "export KEY=...",
        },
    ],
}

_REFUSED = {"channel_code": 2, "far_error": "Connection refused", "errno": "ECONNREFUSED"}
_UNREACHABLE = {"channel_code": 2, "far_error": "No route to host", "errno": "EHOSTUNREACH", "neighbour": "REACHABLE"}
_UNHEARD = {"rcode": "TIMEOUT", "name": "db.example", "nameservers": ["10.0.0.2"], "other_names_answered": False}

#: (stage, evidence, code), as `test_diagnosis.EXAMPLES`.
EXAMPLES: tuple[tuple[str, dict[str, Any], str], ...] = (
    *(("route", {**_HOP, **fault}, code) for code, faults in _FAULTS.items() for fault in faults),
    ("connect", {**_REFUSED, "refused_by": "rst"}, "PORT.CLOSED"),
    ("connect", {**_REFUSED, "refused_by": "icmp", "icmp_type": 3}, "FILTER.REJECT"),
    ("connect", {**_REFUSED, "refusal_unclear": True}, "INCONCLUSIVE"),
    ("connect", {**_REFUSED, "refusal_unclear": True, "default_port_answers": True}, "INCONCLUSIVE"),
    ("connect", {**_UNREACHABLE, "answers_ping": True}, "FILTER.REJECT"),
    ("connect", {**_UNREACHABLE, "refusal_unclear": True}, "INCONCLUSIVE"),
    ("connect", {**_UNREACHABLE, "neighbour": "FAILED"}, "HOST.DOWN"),
    ("connect", {"channel_code": 2, "far_error": "open failed", "unix": True}, "PORT.CLOSED"),
    ("resolve", _UNHEARD, "DNS.RESOLVER_DOWN"),
    ("resolve", {**_UNHEARD, "answered_over_udp": True}, "INCONCLUSIVE"),
    ("resolve", {**_UNHEARD, "answered_over_udp": True, "look_up_hangs": True}, "INCONCLUSIVE"),
    ("resolve", {**_UNHEARD, "unheard_over_udp": True, "name_servers_over_tcp": "refused"}, "INCONCLUSIVE"),
)
