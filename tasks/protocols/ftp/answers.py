"""What the replies of an FTP server mean, and what became of its data connections."""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.protocols import Answer

_REJECTED_V4 = {"icmp_version": 4, "icmp_type": 3, "icmp_code": frozenset({2, 3, 9, 10, 13})}
_REJECTED_V6 = {"icmp_version": 6, "icmp_type": 1, "icmp_code": frozenset({1, 4, 5, 6})}
_DATA = "{address}:{data_port}"
_OPEN_RANGE = (
    "Allow the passive ports of the FTP server on {address} from {source_cidr} as well as port {port} (vsftpd: "
    "pasv_min_port to pasv_max_port); this time it was {data_port}."
)

ANSWERS = (
    Answer(
        "TLS.REQUIRED",
        {"inside_tls": "answers"},
        stage="greet",
        component="{address}:{port}",
        message="{address}:{port} speaks TLS from its first byte, and FTP inside of it only (implicit FTPS).",
        remedy="Let it listen on port 990, where implicit FTPS is spoken, and set port: 990 with protocol: ftps for "
        "{source}/{env}; or let it begin in clear and take AUTH TLS (vsftpd: implicit_ssl=NO).",
    ),
    # A server that is full may have room a moment later.
    Answer("CAPACITY.CONNECTIONS", {"reply_code": 421, "servers_differ": True}, stage="greet"),
    Answer(
        "ADMIT.ALLOWLIST",
        {"reply_code": frozenset({421, 530}), "allowlist_standing": "lacks"},
        stage="greet",
        message="{address}:{port} turns {source_address} away at the door ({server_said}), and its allowlist "
        "({allowlist}) leaves {source_cidr} out.",
    ),
    Answer(
        INCONCLUSIVE,
        {"reply_code": frozenset({421, 530}), "allowlist_standing": "contains"},
        stage="greet",
        alternatives=("CAPACITY.CONNECTIONS", "SERVER.NOT_READY"),
        component="{address}:{port}",
        message="{address}:{port} turns {source_address} away at the door ({server_said}), which its allowlist "
        "lets in: too many clients, or a server about to stop.",
        remedy="Test again when fewer clients are connected; if it stays so, look at the limits (vsftpd: "
        "max_clients, max_per_ip) of the server.",
    ),
    Answer(
        INCONCLUSIVE,
        {"reply_code": frozenset({421, 530})},
        stage="greet",
        alternatives=("CAPACITY.CONNECTIONS", "ADMIT.ALLOWLIST", "SERVER.NOT_READY"),
        component="{address}:{port}",
        message="{address}:{port} turns {source_address} away at the door ({server_said}): too many clients, an "
        "address it does not admit, or a server about to stop.",
        remedy="Test again when fewer clients are connected; if it stays so, look at the limits (vsftpd: "
        "max_clients, max_per_ip) and at the admitted addresses (hosts.allow) of the server.",
    ),
    Answer(
        "TLS.REQUIRED",
        {"other_way": "admitted"},
        component="protocol",
        remedy="Set protocol: ftps for {source}/{env}.",
    ),
    Answer(
        INCONCLUSIVE,
        {"reply_code": frozenset({530, 532, 550}), "over_tls": False, "servers_differ": True},
        stage="admit",
        alternatives=("TLS.REQUIRED", "AUTH.LOGIN_FORBIDDEN"),
        component="{address}:{port}",
        message="{address}:{port} refuses {username} without TLS ({server_said}).",
        remedy="Compare their settings for TLS and for the users that they admit.",
    ),
    Answer(
        INCONCLUSIVE,
        {"other_way": "tls failed"},
        stage="admit",
        alternatives=("TLS.REQUIRED", "AUTH.LOGIN_FORBIDDEN"),
        component="{address}:{port}",
        message="{address}:{port} refuses {username} without TLS ({server_said}), and its TLS handshake fails.",
        remedy="Set protocol: ftps with the files that the server demands and test again: then the causes part.",
    ),
    Answer(
        INCONCLUSIVE,
        {"reply_code": frozenset({530, 532, 550})},
        stage="admit",
        alternatives=("AUTH.LOGIN_FORBIDDEN", "AUTH.USER_UNKNOWN"),
        component="{username}",
        message="{address}:{port} refuses {username} before it asks for a password ({server_said}).",
        remedy="Look at the users that the FTP server admits (vsftpd: userlist_file), and at the name.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer("AUTH.BAD_CREDENTIALS", {"reply_code": 530, "command": "PASS"}, stage="login"),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    Answer(
        "TLS.NOT_OFFERED",
        {"prot_refused": True},
        message="{address}:{port} has TLS for commands, but not for data ({server_said}).",
        remedy="Let the FTP server offer PROT P.",
    ),
    Answer(
        "TLS.VERSION_OR_CIPHER",
        {"reply_code": frozenset({521, 522}), "over_tls": True},
        message="{address}:{port} refuses the TLS session of the data connection ({server_said}).",
        remedy="Let the server accept data connections that resume the TLS session (vsftpd: require_ssl_reuse).",
    ),
    Answer(
        "CONFIG.BAD_VALUE",
        {"bad_field": bool},
        component="{bad_field}",
        message="The {bad_field} of {source}/{env} holds a control character, which FTP cannot carry.",
        remedy="Correct {bad_field} of {source}/{env}: a line break at its end is often the cause.",
    ),
    Answer("TARGET.MISSING", {"presence": "missing"}, stage="target"),
    Answer(
        "TARGET.MISSING",
        {"presence": "file"},
        stage="target",
        message="{database} on {address}:{port} is a file, no directory.",
        remedy="Set base_dir of {source}/{env} to the directory, and name the file in objects.",
    ),
    Answer("TARGET.NO_CONNECT", {"presence": "there"}, stage="target"),
    Answer(
        INCONCLUSIVE,
        {"presence": "unknown"},
        stage="target",
        alternatives=("TARGET.MISSING", "TARGET.NO_CONNECT"),
        component="{database}",
        message="{username} cannot enter {database} on {address}:{port}: it is not there, or may not be entered.",
        remedy="Ask the server's owner whether {database} exists and lets {username} in; FTP does not tell.",
    ),
    Answer("PROBE.DEADLINE", {"data_port": bool, "silent": True, "hasty": True}),
    Answer(
        "FILTER.DROP",
        {"data_port": bool, "silent": True},
        component=_DATA,
        message="Login works, but nothing comes back from the data port {data_port} of {address}: a firewall drops it.",
        remedy=_OPEN_RANGE,
    ),
    *(
        Answer(
            "FILTER.REJECT",
            {"data_port": bool, **rejected},
            component=_DATA,
            message="Login works, but the firewall {icmp_from} refuses the data connection to port {data_port} of "
            "{address} (ICMP {icmp_type}/{icmp_code}).",
            remedy=_OPEN_RANGE,
        )
        for rejected in (_REJECTED_V4, _REJECTED_V6)
    ),
    Answer(
        "PORT.CLOSED",
        {"data_port": bool, "errno": "ECONNREFUSED"},
        component=_DATA,
        message="Login works, but the data port {data_port} that {address} names is closed.",
        remedy="Let what stands before the server (NAT, load balancer) forward its passive ports besides {port}.",
    ),
    Answer(
        INCONCLUSIVE,
        {"data_port": bool, "errno": bool},
        alternatives=("FILTER.REJECT", "ROUTE.REMOTE_UNREACHABLE"),
        component=_DATA,
        message="Login works, but the data port {data_port} of {address} cannot be reached ({errno}).",
        remedy=_OPEN_RANGE,
    ),
    Answer("TARGET.OBJECT_MISSING", {"presence": "missing"}, stage="privilege"),
    Answer("PRIV.OBJECT_DENIED", {"presence": frozenset({"there", "file"})}, stage="privilege"),
    Answer("PRIV.OBJECT_DENIED", {"command": "LIST", "reply_code": 550}, stage="privilege"),
    Answer(
        INCONCLUSIVE,
        {"presence": "unknown"},
        stage="privilege",
        alternatives=("TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED"),
        component="{object}",
        message="{object} on {address}:{port} is not there, or {username} may not read it.",
        remedy="Ask the server's owner whether {object} exists; FTP has one code for both.",
    ),
    Answer(
        INCONCLUSIVE,
        {"nothing_listed": True},
        stage="privilege",
        alternatives=("PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"),
        component="{object}",
        message="{object} on {address}:{port} shows nothing to {username}, not even itself: it may not be read, or "
        "holds nothing.",
        remedy="Let the owner of {object} give {username} the right to read it, or put a file there.",
    ),
    Answer(
        INCONCLUSIVE,
        {"reply_code": 421},
        alternatives=("CAPACITY.CONNECTIONS", "SERVER.NOT_READY"),
        component="{address}:{port}",
        message="{address}:{port} ends the conversation in the stage {stage} ({server_said}).",
        remedy="Test again; if it stays so, look at the limits of the FTP server and at its log.",
    ),
)
