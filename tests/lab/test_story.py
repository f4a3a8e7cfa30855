"""The story of docs/guided-tour.md, act by act: real commands, real deployments, and what came of them.

A test plays everything up to its act, and what it asserts is read from the registry, the Prefect server, the files and
the databases (`outcomes`), not from what the commands say of themselves.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import network
from tests.lab.lab import ROOT, Lab
from tests.lab.servers import PASSWORD
from tests.lab.story import page, playing
from tests.lab.story.acts import ACTS
from tests.lab.story.house import House
from tests.lab.story.playing import Story, StoryError

#: Everything is started and run by one process on a machine that does much else.
pytestmark = [pytest.mark.story, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """A lab of its own: its addresses are always the same, and its page with them."""
    if reasons := network.missing():
        pytest.skip("; ".join(reasons))
    lab = Lab()
    house = House(lab)
    try:
        house.up()
        yield Story(house, ACTS)
    finally:
        house.close()
        lab.close()


@pytest.mark.parametrize("name", [act.name for act in ACTS])
def test_act(story: Story, name: str) -> None:
    story.until(name)


def test_the_page_can_be_written_and_tells_no_secret_and_nothing_of_this_machine(story: Story) -> None:
    story.until(ACTS[-1].name)
    written = page.text([*story.played.values()], story.words)
    assert page.told(written) == page.promised(ACTS)
    if os.environ.get("HEADWATER_WRITE_MATRIX") == "1":
        page.write(written)
    for forbidden in (PASSWORD, str(ROOT), str(Path.home()), tempfile.gettempdir(), str(story.house.folder)):
        assert forbidden not in written
    for folder in (story.house.folder / "server", story.house.server.database.data):
        kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        assert kept
        assert not any(PASSWORD.encode() in one for one in kept), "no secret has gone to Prefect"


class _Anywhere:
    """A place without a house."""

    def command(self, _place: str, typed: str) -> list[str]:
        return ["bash", "-c", typed]

    def folder_of(self, _place: str) -> Path:
        return ROOT

    def environment(self, _place: str) -> dict[str, str]:
        return {**os.environ}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("typed", ["sleep 600", "exec >/dev/null 2>&1; sleep 600"], ids=["silent", "hung up"])
def test_a_command_that_does_not_end_ends_the_story(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "_LONGEST", 0.5)
    with pytest.raises(StoryError, match="does not end"):
        playing.on_a_terminal(_Anywhere(), "operator", typed)  # type: ignore[arg-type]
