"""All commands under their headings. Each is read when it is asked for: `headwater test` waits for no other one."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any, NamedTuple

import typer
import typer.main

#: Heading of the help -> command -> where it stands: a module of `flows.commands`, and its function or its group there.
HEADINGS = {
    "Test and diagnose": {
        "test": "testing:check",
        "causes": "looking:causes",
        "allowlist": "allowlisting:allowlist",
        "compare": "comparing:compare",
    },
    "Register and look": {
        "apply": "registering:apply",
        "export": "registering:export",
        "list": "looking:list_sources",
        "show": "looking:show",
        "history": "looking:history",
        "workspaces": "looking:workspaces",
        "groups": "looking:groups",
        "types": "looking:types",
        "import": "importing:import_",
    },
    "Change": {
        "secret": "changing:secret",
        "permit": "changing:permit",
        "edit": "editing:edit",
        "clone": "editing:clone",
        "share": "sharing:app",
        "compute-resource": "computing:app",
        "file": "files:app",
        "maintenance": "maintaining:app",
    },
    "Change safely: plan, apply, undo": {
        "dependents": "depending:app",
        "repoint": "repointing:app",
        "delete": "deleting:delete",
        "source": "source:app",
        "workspace": "workspacing:app",
        "plan": "planning:app",
        "approve": "approving:approve",
    },
    "Operate": {
        "deploy": "operate:deploy",
        "group": "groups:app",
        "member": "membership:members",
        "token": "membership:tokens",
        "keys": "keys:app",
    },
}


class _Unread(NamedTuple):
    heading: str
    place: str


class Menu(UserDict[str, Any]):
    """Name -> command of the command line."""

    def __init__(self) -> None:
        super().__init__()
        for heading, commands in HEADINGS.items():
            self.data |= {name: _Unread(heading, place) for name, place in commands.items()}

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, _Unread):
            found = self.data[name] = _read(name, found)
        return found


def _read(name: str, unread: _Unread) -> Any:
    module, _, attribute = unread.place.partition(":")
    found = getattr(import_module(f"flows.commands.{module}"), attribute)
    around = typer.Typer()
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, rich_help_panel=unread.heading)
    else:
        around.command(name, rich_help_panel=unread.heading)(found)
    return typer.main.get_group(around).commands[name]
