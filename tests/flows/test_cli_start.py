"""What a command loads before it works: reading modules is most of the time of a short one."""

from __future__ import annotations

import subprocess
import sys

from tests.flows.cli_support import CommandLine

#: Packages of others that every command needs which asks the registry. All the rest wait until something wants them:
#: a registry of another version alembic, a file yaml, a terminal rich, a stored secret cryptography, a server that is
#: told something httpx, a question to a name server dns, a flow prefect.
_NEEDED = {
    "annotated_doc",
    "annotated_types",
    "greenlet",
    "pydantic",
    "pydantic_core",
    "shellingham",
    "sqlalchemy",
    "typer",
    "typing_extensions",
    "typing_inspection",
}
_OURS = {"flows", "registry", "tasks"}
#: Folders of many modules of a kind -> those of them that a good PostgreSQL needs, seen from this machine.
_ONE_OF_MANY = {
    "flows.commands": {"testing"},
    "registry.importing": set[str](),
    "registry.types": {"postgresql"},
    "tasks.causes": set[str](),
    "tasks.clouds": set[str](),
    "tasks.dependents": set[str](),
    "tasks.kerberos": set[str](),
    "tasks.protocols": {"postgresql", "scram"},
    "tasks.repointing": set[str](),
    "tasks.report": set[str](),
    "tasks.ssh": set[str](),
    "tasks.vantages": {"local"},
}
#: Of the registry: what changes, plans, moves, shares, counts, or reads files.
_OTHER_WORK = {
    "registry.apply",
    "registry.burying",
    "registry.compute_resources",
    "registry.deletion",
    "registry.dependents",
    "registry.documents",
    "registry.export",
    "registry.impacts",
    "registry.maintenance",
    "registry.members",
    "registry.plans",
    "registry.sharing",
    "registry.specs",
    "registry.texts",
    "registry.tombstones",
    "registry.upgrade",
    "registry.usage",
}


#: Runs a command and tells what it has loaded that was not there when Python had started.
_TELLING = """
import atexit, sys
before = {*sys.modules}
atexit.register(lambda: print(*({*sys.modules} - before), file=sys.stderr))
from flows.cli import main
main()
"""


def _loaded(retail: CommandLine, *arguments: str) -> set[str]:
    """The modules that a command has loaded by its end."""
    command = [sys.executable, "-c", _TELLING, *arguments]
    environment = retail.environment | {"PREFECT_HOME": str(retail.folder)}  # whatever its user has told Prefect
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=retail.folder)
    assert done.returncode == 0, done
    return {*done.stderr.split()}


def _of_others(loaded: set[str]) -> set[str]:
    packages = {name.partition(".")[0] for name in loaded}
    return {name for name in packages - _OURS - sys.stdlib_module_names if not name.startswith(("_", "cython"))}


def test_a_test_of_one_source_loads_no_more_than_it_works_with(retail: CommandLine) -> None:
    loaded = _loaded(retail, "test", "orders")
    assert "tasks.protocols.postgresql.session" in loaded
    assert _of_others(loaded) - _NEEDED == set()
    for folder, needed in _ONE_OF_MANY.items():
        inside = {name.removeprefix(f"{folder}.").partition(".")[0] for name in loaded if name.startswith(f"{folder}.")}
        assert inside - needed == set(), folder
    assert loaded & _OTHER_WORK == set()


def test_the_dependents_of_a_source_are_told_without_all_that_could_test_it(retail: CommandLine) -> None:
    loaded = _loaded(retail, "dependents", "orders")
    assert "registry.dependents" in loaded
    assert _of_others(loaded) - _NEEDED == set()
    assert {name for name in loaded if name.startswith("tasks")} == set()
