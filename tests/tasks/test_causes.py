"""The catalogue of root causes: complete, consistent, and told in docs/root-causes.md as it is."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from registry.verdict import INCONCLUSIVE, STAGES, State
from tasks import causes
from tasks.causes.documentation import markdown

CATALOGUE = causes.catalogue()


def test_the_page_of_root_causes_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "root-causes.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run scripts/generate_causes_doc.py"


def test_the_page_tells_every_cause() -> None:
    page = markdown()
    assert [code for code in CATALOGUE if f"\n## {code}\n" not in page] == []


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_cause_is_whole(code: str) -> None:
    cause = CATALOGUE[code]
    for text in (cause.meaning, cause.component, cause.message, cause.remedy):
        assert text.strip()
        list(string.Formatter().parse(text))
    for rule in cause.rules:
        assert rule.stage in (None, *STAGES)
        assert bool(rule.alternatives) == (code == INCONCLUSIVE)
        assert set(rule.alternatives) <= set(CATALOGUE)
        assert len(rule.alternatives) != 1


def test_codes_stand_once() -> None:
    codes = [cause.code for cause in causes._all()]
    assert sorted(codes) == sorted(set(codes))


def test_no_cause_is_connectable() -> None:
    assert State.CONNECTABLE not in {cause.state for cause in CATALOGUE.values()}


def test_an_inconclusive_verdict_takes_the_state_of_its_first_alternative() -> None:
    assert causes.state_of(INCONCLUSIVE, ("TLS.CLIENT_CERT", "ADMIT.ALLOWLIST")) is State.CONFIG_ERROR
    assert causes.state_of(INCONCLUSIVE, ("ADMIT.ALLOWLIST", "TLS.CLIENT_CERT")) is State.UNREACHABLE
