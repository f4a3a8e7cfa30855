"""krb5.conf, as far as a client needs it (MIT Kerberos, krb5.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SECTION = re.compile(r"\[\s*([\w.-]+)\s*\]\*?$")
_PORT = 88


@dataclass(frozen=True)
class Configuration:
    """Where the realms are.

    Attributes:
        kdcs: Realm -> host and port of each of its KDCs, in the order given.
        domain_realm: Host name, or domain with a dot in front, in lower case -> realm.
    """

    default_realm: str = ""
    kdcs: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    domain_realm: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Configuration:
        """Read the text of a krb5.conf.

        Raises:
            ValueError: A line is no setting, or a brace is left open.
        """
        default, kdcs, domains = "", dict[str, list[tuple[str, int]]](), dict[str, str]()
        for path, value in _settings(text):
            match path:
                case ("libdefaults", "default_realm"):
                    default = default or value
                case ("realms", realm, "kdc"):
                    kdcs.setdefault(realm, []).append(_host_and_port(value))
                case ("domain_realm", name):
                    domains.setdefault(name.lower(), value)
        return cls(default, {realm: tuple(found) for realm, found in kdcs.items()}, domains)

    def realm_of(self, host: str) -> str:
        """The realm of a server: by its name, by the nearest domain around it, else the default."""
        name = host.lower().rstrip(".")
        parts = name.split(".")
        candidates = [name, *("." + ".".join(parts[at:]) for at in range(1, len(parts)))]
        return next((self.domain_realm[one] for one in candidates if one in self.domain_realm), self.default_realm)


def _settings(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every setting with the sections and groups around it."""
    path: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;" or line.startswith(("include", "module")):
            continue
        if found := _SECTION.match(line):
            if len(path) > 1:
                raise ValueError(f"line {number}: a brace is left open before [{found[1]}]")
            path = [found[1]]
        elif line == "}":
            if len(path) < 2:
                raise ValueError(f"line {number}: a brace is closed that was never opened")
            path.pop()
        else:
            name, equals, value = (part.strip() for part in line.partition("="))
            if not (equals and name and path):
                raise ValueError(f"line {number}: a setting reads NAME = VALUE and stands in a [section]")
            name = name.rstrip("*").strip()
            if value == "{":
                path.append(name)
            else:
                yield (*path, name), value.strip('"')
    if len(path) > 1:
        raise ValueError(f"the brace after {path[-1]} is left open")


def _host_and_port(value: str) -> tuple[str, int]:
    """``kdc.example.com``, ``kdc.example.com:750``, ``[2001:db8::1]:88``, with ``tcp/`` or ``udp/`` in front."""
    text = re.sub(r"^(?:tcp|udp)/", "", value)
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", text)
    if bracketed:
        return bracketed[1], int(bracketed[2] or _PORT)
    host, _, port = text.partition(":")
    if not host or "/" in host or (port and not port.isdecimal()):
        raise ValueError(f"{value!r} is no host of a KDC")
    return host, int(port or _PORT)
