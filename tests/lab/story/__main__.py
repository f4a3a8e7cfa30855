"""The command line of the story; see `scripts/story`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence

from tests.lab import network
from tests.lab.hops import HUB
from tests.lab.lab import Lab
from tests.lab.network import program
from tests.lab.story import page
from tests.lab.story.acts import ACTS
from tests.lab.story.house import House
from tests.lab.story.playing import Story, StoryError


def main(arguments: Sequence[str] | None = None) -> int:
    """Play it; status 1 when it goes otherwise than it is told, 2 when it cannot be played here."""
    options = _parser().parse_args(arguments)
    if reasons := network.missing():
        print(f"error: {'; '.join(reasons)}", file=sys.stderr)
        return 2
    for ends in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ends, signal.default_int_handler)
    lab = Lab()
    house = House(lab)
    try:
        return _play(house, options)
    except KeyboardInterrupt:
        return 130
    finally:
        print("taking the house down", file=sys.stderr)
        house.close()
        lab.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/story", description="The life of a data source, played on the lab.")
    parser.add_argument("--until", choices=[act.name for act in ACTS], default=ACTS[-1].name, help="the last act")
    parser.add_argument("--keep", action="store_true", help="leave everything standing until Ctrl-C")
    parser.add_argument("--write", action="store_true", help=f"write {page.PAGE.name}")
    return parser


def _play(house: House, options: argparse.Namespace) -> int:
    print("building the house ...", file=sys.stderr)
    house.up()
    story = Story(house, ACTS)
    status = 0
    try:
        story.until(options.until)
    except StoryError as error:
        print(f"\n{error}", file=sys.stderr)
        status = 1
    written = page.text([*story.played.values()], story.words)
    print(written)
    if options.write and not status:
        page.write(written)
    if options.keep:
        _leave(house)
    return status


def _leave(house: House) -> None:
    """Say how to look around, and wait."""
    wanted = ("HEADWATER_HOME", "HEADWATER_ACTOR", "PREFECT_API_URL", "PREFECT_HOME", "SHOP_PASSWORD", "PATH")
    environment = house.environment()
    print("\nEverything stands. In another terminal, as root:\n", file=sys.stderr)
    print(f"  cd {house.shop}", file=sys.stderr)
    print("  export " + " ".join(f"{name}={environment[name]}" for name in wanted), file=sys.stderr)
    print(f"  {program('ip')} netns exec {house.lab.network.namespace(HUB)} bash\n", file=sys.stderr)
    print("Ctrl-C takes it down.", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
