"""What the lines of SHOW GRANTS let an account do, with MySQL's and MariaDB's rules of which grant counts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

#: A quoted name or text, a word, any other sign.
_PIECE = re.compile(r"`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|'(?:[^'\\]|''|\\.)*'|[\w$]+|\S", re.DOTALL)
#: What grants are on besides tables.
_ROUTINES = frozenset({"FUNCTION", "PROCEDURE", "PACKAGE"})
#: More than any privilege: whoever has it has each.
ALL = "ALL PRIVILEGES"


class NotUnderstood(ValueError):
    """A line that is no grant as MySQL or MariaDB writes it."""


@dataclass(frozen=True)
class Grant:
    """One line about tables.

    Attributes:
        privileges: Privilege -> the columns that it is for; empty: all.
        database: A pattern of LIKE; None: all.
        table: None: all of the database.
        whom: The account, a role, PUBLIC.
        taken: Whether it takes from what is granted on all databases (MySQL 8, "partial revokes").
    """

    privileges: Mapping[str, tuple[str, ...]]
    database: str | None
    table: str | None
    whom: str
    taken: bool = False


@dataclass
class Granted:
    """What may be done with one table: as a whole, and with some columns of it alone."""

    whole: set[str] = field(default_factory=set)
    columns: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def may(self, privilege: str) -> bool:
        """Whether it is granted on the table as a whole."""
        return bool({privilege, ALL} & self.whole)

    def add(self, grant: Grant) -> None:
        """Take over what a grant gives that counts for this table."""
        for privilege, columns in grant.privileges.items():
            if columns:
                self.columns[privilege].update(columns)
            else:
                self.whole.add(privilege)


@dataclass(frozen=True)
class Grants:
    """All that an account has been granted, with the roles that are active after its login.

    Attributes:
        folds: Whether the server takes names in upper and lower case for the same (`lower_case_table_names`).
        plain: Whether `%` and `_` in the name of a database stand for themselves (MySQL 8, `partial_revokes`).
    """

    lines: Sequence[Grant]
    folds: bool = False
    plain: bool = False

    def on(self, database: str, table: str) -> Granted:
        """What of it counts for a table.

        Of several databases that fit by their patterns, only the one counts that says most before its first wildcard
        (MySQL manual, "Access Control, Stage 2: Request Verification"), for the account and for its roles each: what
        roles are granted is merged by pattern before that.
        """
        granted = Granted()
        named, taken = defaultdict[str, list[Grant]](list), set[str]()
        for grant in self.lines:
            if grant.taken:
                taken |= {*grant.privileges} if self._same(grant.database, database) else set()
            elif grant.database is None:
                granted.add(grant)
            elif grant.table is None:
                named[_holder(grant.whom)].append(grant)
            elif self._same(grant.database, database) and self._same(grant.table, table):
                granted.add(grant)
        granted.whole -= taken
        for grants in named.values():
            for grant in self._closest(grants, database):
                granted.add(grant)
        return granted

    def _closest(self, grants: Sequence[Grant], database: str) -> Iterator[Grant]:
        fitting = [grant for grant in grants if self._fits(grant, database)]
        best = max((self._rank(grant) for grant in fitting), default=0)
        yield from (grant for grant in fitting if self._rank(grant) == best)

    def _rank(self, grant: Grant) -> int:
        return len(_literal(grant.database or "")) if not self.plain else 0

    def _fits(self, grant: Grant, database: str) -> bool:
        if self.plain:
            return self._same(grant.database, database)
        return _like(grant.database or "", database, folds=self.folds)

    def _same(self, one: str | None, other: str) -> bool:
        return one is not None and (one.lower() == other.lower() if self.folds else one == other)


def read(lines: Sequence[str], *, folds: bool = False, plain: bool = False) -> Grants:
    """The lines of SHOW GRANTS.

    Raises:
        NotUnderstood: One of them says something that is not known here.
    """
    found = [grant for line in lines for grant in _grants(line)]
    return Grants(found, folds, plain or any(grant.taken for grant in found))


def select_granted(grants: Sequence[str], database: str) -> bool | None:
    """Whether what SHOW GRANTS says lets an account read tables of a database; None where a role may say otherwise."""
    found, roles = list[Grant](), False
    for line in grants:
        try:
            found += _grants(line)
        except NotUnderstood:
            continue
        roles = roles or _names_role([*_PIECE.findall(line)])
    for grant in found:
        covers = grant.database is None or _like(grant.database, database, folds=True)
        if not grant.taken and {"SELECT", ALL} & grant.privileges.keys() and covers:
            return True
    return None if roles else False


def _names_role(pieces: Sequence[str]) -> bool:
    return pieces[:1] == ["GRANT"] and "ON" not in pieces


def _grants(line: str) -> Iterator[Grant]:
    """The grant on tables that a line is; nothing where it is of something else."""
    pieces = _PIECE.findall(line)
    verb, rest = pieces[:1], pieces[1:]
    if verb == ["SET"] or (_names_role(pieces) and "TO" in rest):
        return  # a default role; a role that is granted: what it has stands in lines of its own once it is active
    if verb not in (["GRANT"], ["REVOKE"]) or "ON" not in rest:
        raise NotUnderstood(line.partition(" ")[0])
    what = [*takewhile(lambda piece: piece != "ON", rest)]
    where = [*takewhile(lambda piece: piece not in ("TO", "FROM"), rest[len(what) + 1 :])]
    whom = rest[len(what) + len(where) + 2 :]
    privileges = _privileges(what)
    if where[:1] == ["TABLE"]:
        where = where[1:]
    if where and (where[0] in _ROUTINES or "PROXY" in privileges):
        return
    if len(where) != 3 or where[1] != "." or not whom:
        raise NotUnderstood("the object of a grant")
    database, table = (None if name == "*" else _name(name) for name in (where[0], where[2]))
    holder = "@".join(map(_name, whom[0:3:2])) if whom[1:2] == ["@"] else _name(whom[0])
    yield Grant(privileges, database, table, holder, taken=verb == ["REVOKE"])


def _privileges(pieces: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Privilege -> its columns, of what stands between GRANT and ON."""
    found = dict[str, tuple[str, ...]]()
    words, columns, inside = list[str](), list[str](), False
    for piece in [*pieces, ","]:
        if piece in "()":
            inside = piece == "("
        elif inside:
            columns += [] if piece == "," else [_name(piece)]
        elif piece == ",":
            found[" ".join(words).upper()] = tuple(columns)
            words, columns = [], []
        else:
            words.append(piece)
    return {ALL if word == "ALL" else word: names for word, names in found.items() if word != "USAGE"}


def _holder(whom: str) -> str:
    """The account, PUBLIC, or roles, of which each of them has one list of databases."""
    return "account" if "@" in whom else "public" if whom == "PUBLIC" else "roles"


def _name(piece: str) -> str:
    quote = piece[0]
    return piece[1:-1].replace(quote * 2, quote) if quote in "`\"'" and len(piece) > 1 else piece


def _literal(pattern: str) -> str:
    """What a pattern begins with before its first wildcard; one without any is longer than every other."""
    head = re.match(r"(?:\\.|[^%_])*", pattern, re.DOTALL)
    begin = head[0] if head else ""
    return begin + " " * 128 if begin == pattern else begin


def _like(pattern: str, database: str, *, folds: bool) -> bool:
    """Whether the database of a grant, a pattern of LIKE, is this one."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    expression = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(expression, database, re.DOTALL | (re.IGNORECASE if folds else 0)) is not None
