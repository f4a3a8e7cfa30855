"""Fixtures of the lab. Everything in this folder needs it and is marked so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import MATRIX
from tests.lab import network
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab

_HERE = Path(__file__).parent

_missing = cache(network.missing)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of this process: `lab.check(...)`, `lab.cli(...)`, `lab.postgresql(...)` ..."""
    if reasons := _missing():
        pytest.skip("; ".join(reasons))
    made = Lab()
    yield made
    made.close()


@pytest.fixture(scope="session")
def expect(request: pytest.FixtureRequest) -> Expectation:
    """`expect(verdict, "wrong password", code="AUTH.BAD_CREDENTIALS", state=..., within=1)`."""
    return Expectation(request.config.stash[MATRIX])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)
