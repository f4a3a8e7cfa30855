"""The mutation run: every rule of the diagnosis is taken away in turn, and some scenario must notice.

What the checks of a run gave to the diagnosis was kept (`recording`); it is pure, so that asking it again takes no
network. A rule is proved when without it a recorded check gets another verdict, or one that its scenario refuses.

    .venv/bin/python -m tests.lab.mutation FOLDER     the survivors, and status 1 when there is one

With HEADWATER_WRITE_MATRIX=1 it also rewrites the table of docs/accuracy.md.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows.terminal import unless_reader_gone
from registry.verdict import Verdict
from tasks import causes, cautions, diagnosis, perspectives, protocols
from tests.lab import accuracy
from tests.lab.passing import differences
from tests.lab.recording import Diagnosed, Expected, Explained, Record, Reviewed, kept
from tests.lab.scenario import Expect

#: Scenario and vantage -> what is expected.
Expectations = Mapping[tuple[str, str], Sequence[Expect]]


@dataclass(frozen=True)
class Mutant:
    """One rule that can be taken away. `table` is where it stands, `row` the object itself."""

    table: str
    name: str
    row: Any


@dataclass(frozen=True)
class Fate:
    """What came of a mutant. `killed_by` is the label of the record that noticed; empty when none did.

    Attributes:
        decided: How many records it decided.
        words: Whether its absence changes at least what a person reads.
    """

    mutant: Mutant
    killed_by: str
    decided: int
    words: bool

    @property
    def status(self) -> str:
        if self.killed_by:
            return "proved"
        return "changes words only" if self.words else "never decides" if not self.decided else "makes no difference"


def mutants() -> list[Mutant]:
    """Every rule: the generic ones, each protocol's, the warnings', and those over several places."""
    found = [Mutant("causes", _named(code, rule), rule) for code, rule in causes.rules()]
    seen: set[int] = set()
    for name in sorted(module.name for module in pkgutil.iter_modules(protocols.__path__)):
        for row in getattr(_protocol(name), "answers", ()):
            if id(row) not in seen:
                seen.add(id(row))
                found.append(Mutant(name, _named(row.code, row), row))
    found += [Mutant("warnings", f"{row[1]} from {row[0]}", row) for row in cautions._RULES]
    found += [Mutant("perspectives", rule.name, rule) for rule in perspectives.rules()]
    return list(_distinct(found))


def run(records: Sequence[Record]) -> list[Fate]:
    """Take every rule away in turn and ask the records again."""
    expectations: dict[tuple[str, str], list[Expect]] = defaultdict(list)
    for record in records:
        if isinstance(record, Expected):
            expectations[record.slug, record.vantage].append(record.expect)
    single = [record for record in records if isinstance(record, Diagnosed | Explained)]
    fates: dict[int, Fate] = {}
    everything = mutants()
    diagnosed = _Replay(single, expectations)
    for mutant in everything:
        if mutant.table != "perspectives":
            fates[id(mutant.row)] = diagnosed.fate(mutant)
    several = [record for record in records if isinstance(record, Reviewed)]
    for mutant in everything:
        if mutant.table == "perspectives":
            fates[id(mutant.row)] = _reviewed(mutant, several, expectations)
    return [fates[id(mutant.row)] for mutant in everything]


class _Replay:
    """Single diagnoses, by the rows that decided them."""

    def __init__(self, records: Sequence[Diagnosed | Explained], expectations: Expectations) -> None:
        self.expectations = expectations
        self.deciding: dict[int, list[tuple[Diagnosed | Explained, Verdict]]] = defaultdict(list)
        for record in records:
            rows, verdict = _decided(record)
            warned = {warning.code for warning in verdict.warnings}
            for row in (*rows, *(row for row in cautions._RULES if row[1] in warned)):
                self.deciding[id(row)].append((record, verdict))

    def fate(self, mutant: Mutant) -> Fate:
        worded = False
        found = self.deciding.get(id(mutant.row), [])
        for record, before in found:
            with _without(mutant.row):
                after = _diagnose(record)
            if _noticed(before, after, self.expectations.get(record.label, ())):
                return Fate(mutant, "/".join(record.label), len(found), words=True)
            worded = worded or _words(before) != _words(after)
        return Fate(mutant, "", len(found), worded)


def _reviewed(mutant: Mutant, records: Sequence[Reviewed], expectations: Expectations) -> Fate:
    rest = [rule for rule in perspectives.rules() if rule is not mutant.row]
    decided, worded = 0, False
    for record in records:
        pairs = zip(perspectives.review(record.views), perspectives.review(record.views, rest), strict=True)
        for before, after in pairs:
            decided += before != after
            expected = expectations.get((record.label, before.resource_group), ())
            if before != after and _noticed(before, after, expected):
                return Fate(mutant, f"{record.label}/{before.resource_group}", decided, words=True)
            worded = worded or _words(before) != _words(after)
    return Fate(mutant, "", decided, worded)


def _noticed(before: Verdict, after: Verdict, expected: Sequence[Expect]) -> bool:
    """Whether the verdict is another one, or no longer what a scenario expects that it was."""
    if _essence(before) != _essence(after):
        return True
    return any(differences(after, one) for one in expected if not differences(before, one))


def _essence(verdict: Verdict) -> tuple[Any, ...]:
    warned = tuple(sorted(warning.code for warning in verdict.warnings))
    return verdict.cause, verdict.state, sorted(verdict.alternatives), verdict.component, warned


def _words(verdict: Verdict) -> tuple[str, ...]:
    return verdict.message, verdict.remedy, *(warning.message for warning in verdict.warnings)


def _diagnose(record: Diagnosed | Explained) -> Verdict:
    if isinstance(record, Explained):
        finding = diagnosis.explain(record.target, record.failed, record.attempt)
        return Verdict.model_construct(
            cause=finding.code, state=finding.state, alternatives=list(finding.alternatives), warnings=[],
            component=finding.component, message=finding.message, remedy=finding.remedy, owner=finding.owner,
        )  # fmt: skip
    return diagnosis.diagnose(record.target, record.trace, started_at="", elapsed_ms=0.0)


def _decided(record: Diagnosed | Explained) -> tuple[list[Any], Verdict]:
    """The rows that the diagnosis rests on, and its verdict."""
    rows: list[Any] = []
    finding = diagnosis._finding

    def spied(code: str, row: Any, words: Any) -> Any:
        rows.append(row)
        return finding(code, row, words)

    with patch.object(diagnosis, "_finding", spied):
        return rows, _diagnose(record)


@contextmanager
def _without(row: Any) -> Iterator[None]:
    """The diagnosis with a row less, whichever table it stands in."""

    def less(rules: Callable[[], Sequence[tuple[str, Any]]]) -> Callable[[], Sequence[tuple[str, Any]]]:
        left = tuple(one for one in rules() if one[1] is not row)
        return lambda: left

    def load(name: str) -> protocols.Protocol:
        protocol = protocols.load(name)
        return replace(protocol, answers=tuple(one for one in protocol.answers if one is not row))

    with (
        patch.object(causes, "rules_before_answers", less(causes.rules_before_answers)),
        patch.object(causes, "rules_after_answers", less(causes.rules_after_answers)),
        patch.object(diagnosis, "load", load),
        patch.object(cautions, "_RULES", tuple(one for one in cautions._RULES if one is not row)),
    ):
        yield


def _protocol(name: str) -> protocols.Protocol | None:
    try:
        return protocols.load(name)
    except (ModuleNotFoundError, AttributeError):
        return None


def _named(code: str, row: Any) -> str:
    """A row of a table in one line: the cause, the stage, the evidence."""
    left = f" ({', '.join(row.alternatives)})" if row.alternatives else ""
    when = ", ".join(f"{key}{_value(value)}" for key, value in row.when.items())
    return f"{code}{left} in {row.stage or 'any stage'} where {when or 'nothing else fits'}"


def _value(value: Any) -> str:
    if value is bool:
        return ""
    if callable(value):
        return f" {getattr(value, '__name__', '')}".replace("<lambda>", "fits").rstrip()
    if isinstance(value, set | frozenset):
        return " in " + "/".join(sorted(map(str, value)))
    return f"={value}"


def _distinct(found: Iterable[Mutant]) -> Iterator[Mutant]:
    """Rows of the same name get a number."""
    seen: Counter[tuple[str, str]] = Counter()
    for mutant in found:
        key = (mutant.table, mutant.name)
        seen[key] += 1
        yield mutant if seen[key] == 1 else replace(mutant, name=f"{mutant.name} ({seen[key]})")


def page(fates: Sequence[Fate]) -> str:
    """The section of docs/accuracy.md."""
    tables = dict.fromkeys(fate.mutant.table for fate in fates)
    rows = []
    for name in tables:
        own = [fate for fate in fates if fate.mutant.table == name]
        proved = sum(bool(fate.killed_by) for fate in own)
        words = sum(fate.words and not fate.killed_by for fate in own)
        rows.append((name, len(own), proved, words, len(own) - proved - words))
    left = [(fate.mutant.table, fate.mutant.name, fate.status) for fate in fates if not (fate.killed_by or fate.words)]
    proved, words = (sum(column) for column in zip(*(row[2:4] for row in rows), strict=True))
    parts = [
        _HEAD.format(rules=len(fates), proved=proved, words=words, left=len(left)),
        accuracy.table(("table", "rules", "proved", "change what is told", "unproved"), rows),
    ]
    if left:
        parts += ["Unproved:\n", accuracy.table(("table", "rule", "because"), left)]
    return "\n".join(parts)


_HEAD = """## Rules

Each rule of the diagnosis was taken away in turn and the checks of the run were diagnosed again: a rule is proved when
a check then gets another cause, state, component, alternative or warning, or a text that its scenario refuses. Of
{rules} rules {proved} are proved, {words} more change what a person is told and no scenario reads it, {left} are
unproved: no check of lab or tests rests on them. Checks are those of the lab and of the tests with scripted peers.
"""


def main(arguments: Sequence[str]) -> int:
    """Print the survivors over the records of a folder; status 1 when there is one."""
    fates = run(list(kept(Path(arguments[0]))))
    if os.environ.get("HEADWATER_WRITE_MATRIX") == "1":
        accuracy.put(accuracy.PAGE, "rules", page(fates))
    left = [fate for fate in fates if not (fate.killed_by or fate.words)]
    for fate in left:
        print(f"unproved: {fate.mutant.table}: {fate.mutant.name}: {fate.status}")
    words = sum(fate.words and not fate.killed_by for fate in fates)
    proved = len(fates) - len(left) - words
    print(f"{len(fates)} rules: {proved} proved, {words} change what is told, {len(left)} unproved")
    return int(bool(left))


if __name__ == "__main__":
    raise SystemExit(unless_reader_gone(lambda: main(sys.argv[1:])))
