"""One spelling for hosts, ports, names and keys, so that no encoding smuggles anything past a check.

Every function here raises ValueError with a text that never repeats what it was given: it may be a password in the
wrong place.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import unquote

#: Nobody needs more; who sends more is hiding something.
MAX_DECODINGS = 5

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
#: What would end the database part of one URL dialect or another, or start another round of decoding.
_NOT_IN_DATABASE = re.compile(r"[?#;%/\\]")
#: What has to be encoded in the path of a URL, and what parameters behind it would look like after decoding.
_NOT_RAW, _PARAMETERS = re.compile(r"[;/\\]"), re.compile(r"[?#;&].*=", re.DOTALL)


def decoded(text: str) -> str:
    """The text with percent-encoding taken off until it no longer changes.

    Raises:
        ValueError: It still changes after `MAX_DECODINGS` rounds, or decodes to no UTF-8.
    """
    for _ in range(MAX_DECODINGS + 1):
        plain = decoded_once(text)
        if plain == text:
            return text
        text = plain
    raise ValueError(f"percent-encoded more than {MAX_DECODINGS} times over")


def decoded_once(text: str) -> str:
    """The text with one layer of percent-encoding taken off.

    Raises:
        ValueError: It decodes to no UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("its percent-encoding gives no UTF-8") from None


def is_invisible(char: str) -> bool:
    """Control, format, unassigned and line-separating characters: nothing that a person would have typed."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def refuse_invisible(text: str) -> str:
    """The text itself.

    Raises:
        ValueError: It holds a control character or one without width.
    """
    if any(is_invisible(char) for char in text):
        raise ValueError("it holds a control character or an invisible one")
    return text


def is_socket(host: object) -> bool:
    """Whether this host is the path of a Unix socket."""
    return isinstance(host, str) and host.startswith("/")


def normal_host(text: str) -> str:
    """A host name (lower case, IDNA), an IP address in its shortest form, or the path of a Unix socket.

    Addresses in the old numeric spellings (`127.1`, `0x7f000001`) are refused: resolvers disagree about them, and a
    check of the address would see another one than the connection goes to.

    Raises:
        ValueError: It is none of these.
    """
    # What follows the '%' of an IPv6 address is an interface, not percent-encoding; only a URL writes it as '%25'.
    address, percent, zone = text.partition("%") if ":" in text.partition("%")[0] else (text, "", "")
    plain = decoded(address) + percent + zone.removeprefix("25")
    host = refuse_invisible(unicodedata.normalize("NFKC", plain)).strip()
    if is_socket(host):
        return _socket(host)
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1])
    if ":" in host:
        return _ipv6(host)
    return _name_or_ipv4(host)


def _socket(path: str) -> str:
    if ".." in path.split("/") or re.search(r"[?#%\\]", path):
        raise ValueError("a socket path is absolute, without '..', '?', '#', '%' and backslashes")
    return path


def _ipv6(text: str) -> str:
    address, percent, zone = text.partition("%")
    try:
        shortest = str(ipaddress.IPv6Address(address))
    except ValueError:
        raise ValueError("this is no IPv6 address; a port stands apart from the host") from None
    if percent and not _ZONE.fullmatch(zone):
        raise ValueError("the zone of this IPv6 address is no interface name")
    return shortest + percent + zone


def _name_or_ipv4(host: str) -> str:
    try:
        name = host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise ValueError("this is no host name") from None
    labels = name.removesuffix(".").split(".")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("an address in digits is four numbers from 0 to 255, as in 192.0.2.7") from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("a host is a name such as db.example.com or an IP address; letters, digits, '-', '_' and '.'")
    return name


def normal_port(text: str) -> int:
    """A port from 1 to 65535.

    Raises:
        ValueError: It is none.
    """
    digits = unicodedata.normalize("NFKC", decoded(text)).strip()
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return int(digits)


def normal_key(text: str) -> str:
    """The key of a parameter without blanks, invisible characters and layers of encoding; its case is kept.

    Raises:
        ValueError: Encoded too many times over.
    """
    plain = unicodedata.normalize("NFKC", decoded(text))
    return "".join(char for char in plain if not char.isspace() and not is_invisible(char))


def quoted_database(text: str) -> str:
    """The name of a database in the path of a URL, for servers where a name in quotes may hold any character.

    One layer of percent-encoding is taken off, as drivers do.

    Raises:
        ValueError: Another part of a URL follows it: not encoded, or encoded together with it.
    """
    if _NOT_RAW.search(text):
        raise ValueError("inside a database name write '/' as %2F, ';' as %3B and a backslash as %5C")
    name = refuse_invisible(decoded_once(text))
    if _PARAMETERS.search(name):
        raise ValueError("the database name goes on with parameters, encoded; give such a name apart, as database")
    return name


def normal_database(text: str) -> str:
    """The name of a database.

    Raises:
        ValueError: It holds a character that could end the database part of a URL.
    """
    if _NOT_IN_DATABASE.search(refuse_invisible(text)):
        raise ValueError("a database name is written without '?', '#', ';', '%', '/' and backslashes")
    return text
