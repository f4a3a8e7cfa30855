"""docs/guided-tour.md tells the acts and commands that the story plays, and nothing of the machine that played it."""

from __future__ import annotations

import re

from tests.lab.servers import PASSWORD
from tests.lab.story import page
from tests.lab.story.acts import ACTS

AGAIN = "the story has changed: scripts/story --write"


def test_the_page_has_the_acts_and_commands_of_the_story() -> None:
    assert page.told(page.PAGE.read_text()) == page.promised(ACTS), AGAIN


def test_every_act_says_why() -> None:
    written = page.PAGE.read_text()
    assert all(act.why in written for act in ACTS), AGAIN


def test_the_page_tells_nothing_of_the_machine_that_played_it() -> None:
    written = page.PAGE.read_text()
    assert PASSWORD not in written
    assert not re.findall(r"/(?:work|root|home|var/lib|tmp|src)/\S*|https?://(?!127\.0\.0\.1|10\.)\S*", written)
