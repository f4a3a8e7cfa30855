"""The pages for people name every field that a file may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.groups import SshSettings, WorkerSettings
from registry.network import Network
from registry.specs import GroupSpec

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("model", "page"),
    [(GroupSpec, "concepts"), (Network, "concepts"), (WorkerSettings, "concepts"), (SshSettings, "ssh")],
)
def test_every_field_of_a_group_is_documented(model: type, page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    assert [name for name in model.model_fields if f"`{name}`" not in rows] == []  # type: ignore[attr-defined]
