"""Ten thousand sources: written by one file, found, made ready to be tested, and their verdicts kept."""

from __future__ import annotations

from registry.apply import apply_texts
from registry.store import Store
from registry.verdict import State
from tests.registry.samples import file_of
from tests.registry.test_store import verdict
from tests.stopwatch import Stopwatch

MANY = 10_000


def test_ten_thousand_sources(store: Store) -> None:
    reports: list[tuple[str, int, int]] = []
    with Stopwatch() as writing:
        apply_texts(store, [("f.yaml", file_of(MANY))], store.by(), progress=lambda *step: reports.append(step))
    writing.within(40)  # about 6 s on an idle machine
    assert ("reading", MANY, MANY) in reports
    assert ("writing", MANY, MANY) in reports
    assert len(reports) >= 40
    with Stopwatch() as looking:
        page = store.sources.list(name="s99", page_size=10)
    looking.within(0.5)  # about 10 ms
    assert page.total == 111
    with Stopwatch() as making_ready:
        targets = store.targets(env="prod")
    with Stopwatch() as keeping:
        turns = store.verdicts.record([verdict(target.source, State.CONNECTABLE) for target in targets])
    assert len(targets) == len(turns) == MANY
    making_ready.within(4)  # about 0.8 s
    keeping.within(8)  # about 1 s
