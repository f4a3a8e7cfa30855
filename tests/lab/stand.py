"""One scenario by hand: brought up, looked at, and left standing for as long as one likes. See `scripts/lab`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows import present, terminal
from tests.lab import network, scenario
from tests.lab.hops import HUB
from tests.lab.lab import ROOT, Lab
from tests.lab.passing import Outcome, look
from tests.lab.scenario import KINDS, Scenario, ScenarioError
from tests.lab.standing import Standing
from tests.lab.topology import ECHO, ROUTERS, VANTAGES


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; status 1 when a verdict is not as expected, 2 when it cannot be told."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "list":
            return _list(names=options.names)
        chosen = scenario.named(options.name) if options.command == "run" else None
    except ScenarioError as error:
        return _refuse(str(error))
    if reasons := network.missing():
        return _refuse("; ".join(reasons))
    for ends in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ends, signal.default_int_handler)
    lab = Lab()
    try:
        return _run(lab, chosen, options) if chosen is not None else _up(lab)
    except KeyboardInterrupt:
        return 0
    finally:
        print("taking the lab down", file=sys.stderr)
        lab.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/lab", description="The lab's scenarios, one at a time.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the scenarios with what each expects")
    listing.add_argument("--names", action="store_true", help="names only, one a line")
    running = commands.add_parser("run", help="bring a scenario up and look at it from its vantages")
    running.add_argument("name", help="a file of tests/lab/scenarios without .yaml")
    running.add_argument("--via", choices=KINDS, default="local", help="the kind of vantage (default: local)")
    running.add_argument("--language", help="of the server, where the scenario has several")
    running.add_argument("--stand", action="store_true", help="leave everything standing until Ctrl-C")
    commands.add_parser("up", help="bring the bare lab up until Ctrl-C")
    return parser


def _refuse(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 2


def _list(*, names: bool) -> int:
    for one in scenario.every():
        codes = "/".join(dict.fromkeys(expect.code or "-" for expect in (one.expect, *one.elsewhere.values())))
        print(one.name if names else f"{one.name:36} {codes:26} {', '.join(one.vantages):26} {one.title}")
    return 0


def _run(lab: Lab, chosen: Scenario, options: argparse.Namespace) -> int:
    language = options.language or chosen.languages[0]
    if language not in chosen.languages:
        return _refuse(f"{chosen.name} has no language {language!r}: {', '.join(chosen.languages)}")
    if options.via in chosen.left_out:
        return _refuse(f"{chosen.name} is not passed by {options.via}: {chosen.left_out[options.via]}")
    standing = Standing(lab, chosen, language)
    try:
        standing.up()
        outcomes = look(lab, standing, options.via)
        if not outcomes:
            return _refuse(f"none of {', '.join(chosen.vantages)} is a vantage of kind {options.via}")
        print(f"{chosen.name}: {chosen.title}\n")
        for outcome in outcomes:
            _show(outcome)
        if options.stand:
            _leave(lab, standing)
        return int(any(outcome.faults() for outcome in outcomes))
    finally:
        standing.down()


def _show(outcome: Outcome) -> None:
    print(present.explanation(outcome.verdict) if outcome.verdict else outcome.problem)
    faults = outcome.faults()
    told = "as expected" if not faults else "NOT as expected: " + "; ".join(faults)
    print(f"  {outcome.vantage}, {outcome.kind}, {outcome.seconds:.2f} s: {told}\n", flush=True)


def _up(lab: Lab) -> int:
    _places(lab)
    _wait()
    return 0


def _leave(lab: Lab, standing: Standing) -> None:
    """Say how to look around, and wait."""
    vantages = standing.scenario.vantages
    groups = {
        name: {"kind": "ssh", "ssh": lab.hops.settings(name), "network": standing.request(name)["network"]}
        for name in vantages
    }
    everywhere = _registered(lab, standing, "by-ssh", groups)
    _places(lab)
    print("\nThe data source is registered. In another terminal, as root, from every vantage by SSH:\n")
    print(_command(lab, HUB, everywhere, "test --group all --explain"))
    print("\nOn the spot:\n")
    for name in vantages:
        here = {name: {"kind": "local", "network": standing.request(name)["network"]}}
        print(_command(lab, name, _registered(lab, standing, name, here), "test --explain"))
    _wait()


def _command(lab: Lab, place: str, home: Path, arguments: str) -> str:
    headwater = Path(sys.executable).with_name("headwater")
    return f"  {_enter(lab, place)} env HEADWATER_HOME={home} {headwater} {arguments}"


def _places(lab: Lab) -> None:
    print("The lab stands. Places, and how to enter each (as root):\n")
    for name in ("router", *ROUTERS, "server"):
        print(f"  {name:16} {_enter(lab, name)} bash")
    for name, vantage in VANTAGES.items():
        print(f"  {name:16} {_enter(lab, name)} bash    # {vantage.v4}")
    print(f"\nWhat address a place has outside: curl http://{ECHO[0]}:{ECHO[1]}/")


def _enter(lab: Lab, place: str) -> str:
    return f"ip netns exec {lab.network.namespace(place)}"


def _wait() -> None:
    print("\nCtrl-C takes everything down.", flush=True)
    threading.Event().wait()


def _registered(lab: Lab, standing: Standing, name: str, groups: Mapping[str, Mapping[str, Any]]) -> Path:
    """A home in which the scenario's data source and these resource groups are registered."""
    home = lab.network.directory / "homes" / name
    home.mkdir(parents=True, exist_ok=True)
    request = standing.request(standing.scenario.vantages[0])
    source = {
        "name": standing.words["id"], "type": request["type"], "dev": _referenced(home, request["entry"]),
    }  # fmt: skip
    workspace = {"name": "lab", "mode": "standard", "resource_groups": list(groups), "data_sources": [source]}
    if ranges := request["permitted_ranges"]:
        workspace["permitted_ranges"] = ranges
    document = {
        "version": 1,
        "resource_groups": [{"name": group, **settings} for group, settings in groups.items()],
        "workspaces": [workspace],
    }
    file = home / "lab.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    applied = lab.cli(["apply", "-f", str(file)], env={"HEADWATER_HOME": str(home)})
    if applied.returncode:
        print(f"the data source cannot be registered:\n{applied.stdout}{applied.stderr}", file=sys.stderr)
    return home


def _referenced(home: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with its passwords in files, as the declarative file wants them."""
    found = dict(entry)
    for field in ("password", "auth_token"):
        if isinstance(found.get(field), str) and ":" not in found[field]:
            path = home / field
            path.write_text(found[field])
            found[field] = f"file:{path}"
    return found


if __name__ == "__main__":
    os.chdir(ROOT)
    raise SystemExit(terminal.unless_reader_gone(main))
