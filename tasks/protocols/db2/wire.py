"""DRDA as bytes: structures of code points and values. Computes; sends nothing.

Texts are in EBCDIC until the server has said how it keeps its data (DDM, "Character set").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Code(IntEnum):
    """Code points (DDM, "Codepoints")."""

    EXCSAT, EXCSATRD = 0x1041, 0x1443
    EXTNAM, SRVNAM, SRVCLSNM, SRVRLSLV, MGRLVLLS = 0x115E, 0x116D, 0x1147, 0x115A, 0x1404
    ACCSEC, ACCSECRD, SECMEC = 0x106D, 0x14AC, 0x11A2
    SECCHK, SECCHKRM, SECCHKCD = 0x106E, 0x1219, 0x11A4
    USRID, PASSWORD, RDBNAM = 0x11A0, 0x11A1, 0x2110
    ACCRDB, ACCRDBRM, RDBACCCL, PRDID, CRRTKN = 0x2001, 0x2201, 0x210F, 0x112E, 0x2135
    TYPDEFNAM, TYPDEFOVR = 0x002F, 0x0035
    CCSIDSBC, CCSIDDBC, CCSIDMBC = 0x119C, 0x119D, 0x119E
    RDBNFNRM, RDBATHRM, RDBAFLRM = 0x2211, 0x22CB, 0x221A
    PRPSQLSTT, OPNQRY, SQLSTT, PKGNAMCSN, QRYBLKSZ = 0x200D, 0x200C, 0x2414, 0x2113, 0x2114
    SQLCARD, QRYDSC, QRYDTA = 0x2408, 0x241A, 0x241B
    SVRCOD = 0x1149


_MAGIC = 0xD0
_REQUEST, _OBJECT = 0x01, 0x03
#: Another structure follows: of another command, or of the same.
_CHAINED, _CHAINED_SAME = 0x40, 0x50
#: USRIDPWD: user name and password, in clear.
PASSWORD_IN_CLEAR = 3
_HEADER = 6
#: AGENT, SQLAM, CMNTCPIP, SECMGR and RDB, each with the level of its protocol that is spoken here.
_MANAGERS = ((0x1403, 7), (0x2407, 7), (0x1474, 5), (0x1440, 7), (0x240F, 7))

Values = Mapping[Code, bytes]


class Malformed(ValueError):
    """Bytes that no DRDA server sends."""


@dataclass(frozen=True)
class Reply:
    """One structure of an answer: its code point, its bytes, and whether others follow."""

    code: int
    data: bytes
    more: bool

    def values(self) -> dict[int, bytes]:
        """The parameters in it. Raises `Malformed`."""
        return dict(_parameters(self.data))


def ebcdic(text: str) -> bytes:
    """A text as DDM has it. Raises `Malformed` for letters that it has not."""
    try:
        return text.encode("cp500")
    except UnicodeEncodeError:
        raise Malformed("a name with letters that EBCDIC does not have") from None


def structures(*commands: bytes) -> bytes:
    """Commands in one message, each numbered; the last ends the chain."""
    sent = b""
    for number, command in enumerate(commands, start=1):
        follows = _CHAINED if number < len(commands) else 0
        sent += _structure(command, _REQUEST | follows, number)
    return sent


def command_with_text(command: bytes, sql: str) -> bytes:
    """A command, and the statement that it is about as an object behind it."""
    text = sql.encode()
    # Two nullable texts, one in the mixed character set and one in the single one: the second is null.
    statement = _value(Code.SQLSTT, b"\0" + struct.pack(">I", len(text)) + text + b"\xff")
    return _structure(command, _REQUEST | _CHAINED_SAME, 1) + _structure(statement, _OBJECT, 1)


def prepared_and_opened(sql: str, database: str) -> bytes:
    """A statement prepared, its text, and its rows asked for."""
    prepare = bytearray(command_with_text(command(Code.PRPSQLSTT, {Code.PKGNAMCSN: package(database, section=2)}), sql))
    text_at = int.from_bytes(prepare[:2])
    prepare[text_at + 3] |= _CHAINED  # another command follows the text
    values = {Code.PKGNAMCSN: package(database, section=2), Code.QRYBLKSZ: struct.pack(">I", 32767)}
    return bytes(prepare) + _structure(command(Code.OPNQRY, values), _REQUEST, 2)


def _structure(body: bytes, kind: int, number: int) -> bytes:
    return struct.pack(">HBBH", _HEADER + len(body), _MAGIC, kind, number) + body


def _value(code: int, data: bytes) -> bytes:
    return struct.pack(">HH", 4 + len(data), code) + data


def command(code: int, values: Values) -> bytes:
    """A command with its parameters."""
    return _value(code, b"".join(_value(key, data) for key, data in values.items()))


def exchange_attributes() -> bytes:
    """Who we are, and what we speak."""
    levels = b"".join(struct.pack(">HH", manager, level) for manager, level in _MANAGERS)
    name = ebcdic("headwater")
    return command(
        Code.EXCSAT,
        {Code.EXTNAM: name, Code.SRVNAM: name, Code.SRVRLSLV: ebcdic("1"), Code.MGRLVLLS: levels,
         Code.SRVCLSNM: ebcdic("headwater")},
    )  # fmt: skip


def access_security(database: str) -> bytes:
    """How we want to log in, and to which database."""
    return command(Code.ACCSEC, {Code.SECMEC: struct.pack(">H", PASSWORD_IN_CLEAR), Code.RDBNAM: padded(database)})


def security_check(database: str, username: str, password: str) -> bytes:
    """The login."""
    values = {Code.SECMEC: struct.pack(">H", PASSWORD_IN_CLEAR), Code.RDBNAM: padded(database),
              Code.USRID: ebcdic(username), Code.PASSWORD: ebcdic(password)}  # fmt: skip
    return command(Code.SECCHK, values)


#: Products whose clients a server knows: IBM's JDBC driver, and Derby's for Derby, which knows no other.
JCC, DERBYS = "JCC04200", "DNC10140"


def access_database(database: str, product: str = JCC) -> bytes:
    """The database, and how its data are to be sent: big-endian, texts in UTF-8 (CCSID 1208)."""
    sets = ((Code.CCSIDSBC, 1208), (Code.CCSIDDBC, 1200), (Code.CCSIDMBC, 1208))
    values = {
        Code.RDBACCCL: struct.pack(">H", 0x2407),
        Code.PRDID: ebcdic(product),
        Code.TYPDEFNAM: ebcdic("QTDSQLASC"),
        Code.CRRTKN: ebcdic("headwater.probe") + bytes(6),
        Code.TYPDEFOVR: b"".join(_value(code, struct.pack(">H", number)) for code, number in sets),
        Code.RDBNAM: padded(database),
    }
    return command(Code.ACCRDB, values)


def padded(name: str, length: int = 18) -> bytes:
    """A name of DDM, at least this long."""
    return ebcdic(name.ljust(length))


def package(database: str, section: int = 1) -> bytes:
    """The package that every client's dynamic statements run in (NULLID.SYSSH200), and a section of it."""
    return padded(database) + padded("NULLID") + padded("SYSSH200") + b"SYSLVL01" + struct.pack(">H", section)


def begins_like_drda(head: bytes) -> bool:
    """Whether six bytes are a reply's or object's structure."""
    return head[2] == _MAGIC and head[3] & 0x0F in (0x02, 0x03) and int.from_bytes(head[:2]) > _HEADER


def structure_head(head: bytes) -> tuple[int, bool]:
    """How many bytes follow a structure's header, and whether another structure does. Raises `Malformed`."""
    length = int.from_bytes(head[:2])
    if head[2] != _MAGIC or length < _HEADER or length & 0x8000:
        raise Malformed("no structure, or a continued one")
    return length - _HEADER, bool(head[3] & _CHAINED)


def replies(body: bytes, more: bool) -> list[Reply]:
    """The replies and objects in one structure. Raises `Malformed`."""
    found = [Reply(code, data, more) for code, data in _parameters(body)]
    if not found:
        raise Malformed("an empty structure")
    return found


def _parameters(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise Malformed("half a parameter")
        length, code = struct.unpack_from(">HH", data, position)
        if length < 4 or position + length > len(data):
            raise Malformed("a parameter beyond its structure")
        yield code, data[position + 4 : position + length]
        position += length


@dataclass(frozen=True)
class SqlAnswer:
    """What SQLCARD says."""

    sqlcode: int
    sqlstate: str


def sql_answer(data: bytes, byteorder: str) -> SqlAnswer:
    """The code and state of an SQLCARD; zeros where there is none. Raises `Malformed`."""
    if data[:1] == b"\xff":
        return SqlAnswer(0, "00000")
    if len(data) < 10:
        raise Malformed("an SQLCARD cut short")
    code = int.from_bytes(data[1:5], "little" if byteorder == "little" else "big", signed=True)
    state = data[5:10]
    return SqlAnswer(code, state.decode("cp500" if min(state) >= 0x80 else "ascii", "replace"))


def byteorder_of(definition: bytes) -> str:
    """The order of the bytes of numbers under a TYPDEFNAM: QTDSQLX86 is the one with the smallest first."""
    name = definition.decode("cp500", "replace")
    return "little" if name.strip() == "QTDSQLX86" else "big"


def names(rows: bytes, description: bytes, byteorder: str) -> Sequence[str]:
    """The texts of rows of one text each.

    Each row has a byte for the SQLCA that it lacks and one for its own presence; a text that may be null one for its
    own, which an odd type in the description tells (FD:OCA, "Nullable types").
    """
    nullable = bool(description[3:4] and description[3] & 1)
    found, position = [], 0
    while rows[position : position + 2] == b"\xff\0":
        position += 2
        if nullable:
            position += 1
            if rows[position - 1] == 0xFF:
                continue
        length = int.from_bytes(rows[position : position + 2], "little" if byteorder == "little" else "big")
        found.append(rows[position + 2 : position + 2 + length].decode("utf-8", "replace"))
        position += 2 + length
    return found
