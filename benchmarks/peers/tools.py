"""The tools: how each is installed, asked for a test, and how its answer is judged.

A tool *names* the cause when its own answer says so: a code, or a sentence of its own. A driver's text that is passed
on is *raw*; a success before a broken source is a *false green*; a named cause that is not the one is *wrong*.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from benchmarks.peers.kinds import Kind, Source

ROOT = Path(__file__).resolve().parents[2]
NAMED, TWO_FOLD, RAW, WRONG, GREEN, HANG = "named", "two-fold", "raw", "WRONG", "FALSE GREEN", "HANG"


@dataclass(frozen=True)
class Said:
    """What a tool answered: its exit status, its output, or None when it had to be ended."""

    status: int | None
    output: str = ""


class Tool:
    """One tool in an environment of its own."""

    name: ClassVar[str]
    packages: ClassVar[Sequence[str]] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name

    def program(self, name: str) -> str:
        """A program of the tool's environment."""
        return str(self.folder / "bin" / name)

    def install(self) -> str:
        """Make the environment; gives the version of its first package."""
        uv = str(Path(sys.executable).with_name("uv"))
        ready = self.folder / "ready"
        if not ready.exists():
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(self.folder)], check=True)
            python = self.program("python")
            subprocess.run([uv, "pip", "install", "-q", "--python", python, *self.packages], check=True)
            self.prepare()
            ready.touch()
        first = self.packages[0].partition("[")[0].partition("=")[0]
        code = f"import importlib.metadata as m; print(m.version({first!r}))"
        return subprocess.run(
            [self.program("python"), "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()

    def prepare(self) -> None:
        """What has to be done once after the installation."""

    def register(self, source: Source) -> None:
        """What a user has done before, once for a source; it is not timed."""

    def command(self, source: Source) -> Sequence[str]:
        """The command line that tests a source."""
        raise NotImplementedError

    def environment(self, source: Source) -> Mapping[str, str]:
        """What it needs in its environment."""
        return {}

    def judge(self, kind: Kind, said: Said) -> str:
        """What its answer is worth."""
        if said.status is None:
            return HANG
        return GREEN if self.succeeded(said) else self.words(kind, said)

    def succeeded(self, said: Said) -> bool:
        """Whether it called the source good."""
        return said.status == 0

    def words(self, kind: Kind, said: Said) -> str:
        """What its report of a failure is worth: a driver's text alone, unless the tool has codes."""
        return RAW


def uri(source: Source, scheme: str = "postgresql") -> str:
    """The source as a libpq URI."""
    query = [f"sslmode={source.sslmode}"] if source.sslmode else []
    query += [f"sslrootcert={source.truststore}"] if source.truststore else []
    return f"{scheme}://{source.username}:{quote(source.password)}@{source.host}:{source.port}/{source.database}" + (
        f"?{'&'.join(query)}" if query else ""
    )


class Headwater(Tool):
    """Ours."""

    name = "headwater"

    def install(self) -> str:
        return "this checkout"

    def program(self, name: str) -> str:
        return str(Path(sys.executable).with_name(name))

    def register(self, source: Source) -> None:
        tls = {"properties": {"sslmode": source.sslmode}} if source.sslmode else {}
        tls |= {"truststore_file": f"file:{source.truststore}"} if source.truststore else {}
        entry = {
            "address": [{"host": source.host, "port": source.port}],
            "database": source.database,
            "username": source.username,
            "password": "env:PEER_PASSWORD",
            **tls,
        }
        document = {
            "version": 1,
            "resource_groups": [{"name": "local", "kind": "local"}],
            "workspaces": [
                {
                    "name": "peers",
                    "resource_groups": ["local"],
                    "data_sources": [{"name": "peer", "type": "postgresql", "prod": entry}],
                }
            ],
        }
        file = self.folder / "sources.yaml"
        self.folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
        command = [self.program("headwater"), "apply", "-f", str(file)]
        env = {**os.environ, **self.environment(source)}
        subprocess.run(command, check=True, capture_output=True, env=env)

    def environment(self, source: Source) -> Mapping[str, str]:
        return {"HEADWATER_HOME": str(self.folder / "home"), "PEER_PASSWORD": source.password}

    def command(self, source: Source) -> Sequence[str]:
        return [self.program("headwater"), "test", "peer", "-o", "json"]

    def judge(self, kind: Kind, said: Said) -> str:
        if said.status is None:
            return HANG
        (verdict,) = json.loads(said.output)
        if verdict["cause"] is None:
            return GREEN
        if verdict["cause"] == "INCONCLUSIVE":
            return TWO_FOLD if kind.codes & set(verdict["alternatives"]) else WRONG
        return NAMED if verdict["cause"] in kind.codes else WRONG


class Airflow(Tool):
    """`airflow connections test`, which has to be switched on first."""

    name = "airflow"
    packages = ("apache-airflow", "apache-airflow-providers-postgres", "psycopg[binary]")

    def command(self, source: Source) -> Sequence[str]:
        return [self.program("airflow"), "connections", "test", "peer"]

    def environment(self, source: Source) -> Mapping[str, str]:
        return {
            "AIRFLOW_HOME": str(self.folder / "home"),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW_CONN_PEER": uri(source, "postgres"),
        }

    def prepare(self) -> None:
        home = {**os.environ, "AIRFLOW_HOME": str(self.folder / "home")}
        subprocess.run([self.program("airflow"), "db", "migrate"], check=True, capture_output=True, env=home)


class DataHub(Tool):
    """`datahub ingest --test-source-connection`: its exit status is always 0, its report says `capable`."""

    name = "datahub"
    packages = ("acryl-datahub[postgres]",)

    def command(self, source: Source) -> Sequence[str]:
        options = {"sslmode": source.sslmode, "sslrootcert": source.truststore}
        recipe = {
            "source": {
                "type": "postgres",
                "config": {
                    "host_port": f"{source.host}:{source.port}",
                    "username": source.username,
                    "password": source.password,
                    "database": source.database,
                    "options": {"connect_args": {key: value for key, value in options.items() if value}},
                },
            }
        }
        file = self.folder / "recipe.yml"
        file.write_text(json.dumps(recipe))
        return [self.program("datahub"), "ingest", "--test-source-connection", "-c", str(file)]

    def environment(self, source: Source) -> Mapping[str, str]:
        return {"DATAHUB_TELEMETRY_ENABLED": "false", "HOME": str(self.folder)}

    def succeeded(self, said: Said) -> bool:
        return '"capable": true' in said.output or '"capable":true' in said.output


class Soda(Tool):
    """`soda test-connection`."""

    name = "soda"
    packages = ("soda-core-postgres", "setuptools")

    def command(self, source: Source) -> Sequence[str]:
        settings = {
            "type": "postgres",
            "host": source.host,
            "port": source.port,
            "username": source.username,
            "password": source.password,
            "database": source.database,
            "sslmode": source.sslmode,
            "sslrootcert": source.truststore,
        }
        file = self.folder / "configuration.yml"
        file.write_text(json.dumps({"data_source peer": {key: value for key, value in settings.items() if value}}))
        return [self.program("soda"), "test-connection", "-d", "peer", "-c", str(file)]

    def environment(self, source: Source) -> Mapping[str, str]:
        return {"HOME": str(self.folder), "SODA_TELEMETRY": "false"}


class Superset(Tool):
    """Superset's `POST /api/v1/database/test_connection/`, asked through its own WSGI application."""

    name = "superset"
    packages = ("apache-superset", "psycopg2-binary", "rich", "cachetools", "flask-caching==2.3.1")

    def environment(self, source: Source | None = None) -> Mapping[str, str]:
        return {
            "SUPERSET_CONFIG_PATH": str(self.folder / "superset_config.py"),
            "SUPERSET_HOME": str(self.folder / "home"),
            "FLASK_APP": "superset",
        }

    def prepare(self) -> None:
        (self.folder / "superset_config.py").write_text(
            "SECRET_KEY = 'benchmark'\nWTF_CSRF_ENABLED = False\nTALISMAN_ENABLED = False\n"
        )
        env = {**os.environ, **self.environment()}
        for step in (
            ["db", "upgrade"],
            ["fab", "create-admin", "--username", "admin", "--firstname", "a", "--lastname", "b",
             "--email", "a@example.com", "--password", "admin"],
            ["init"],
        ):  # fmt: skip
            subprocess.run([self.program("superset"), *step], check=True, capture_output=True, env=env)

    def command(self, source: Source) -> Sequence[str]:
        return [self.program("python"), str(Path(__file__).with_name("ask_superset.py")), uri(source)]

    def words(self, kind: Kind, said: Said) -> str:
        found: Any = [line for line in said.output.splitlines() if line.startswith("{")]
        codes = {error.get("error_type") for error in json.loads(found[-1]).get("errors", [])} if found else set()
        specific = codes - {"GENERIC_DB_ENGINE_ERROR", "GENERIC_BACKEND_ERROR", None}
        if not specific:
            return RAW
        return NAMED if specific & kind.superset else WRONG


TOOLS: tuple[type[Tool], ...] = (Headwater, Airflow, DataHub, Superset, Soda)
