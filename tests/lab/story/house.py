"""Where the story happens: databases, a Prefect server, a worker, a group by SSH, and the folder of a small shop.

    hub (operator: registry, Prefect server, worker of the pool `headwater`)
     |-- mgmt -- client  (worker of the pool `jobs`: resource group `jobs`)   ------------+
     |-- mgmt -- onprem  (reached by SSH: resource group `office`) -- router `office` ---+-- router -- databases

The hub sees no database: what it knows of them, it knows from its resource groups.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from flows.worker_groups import ENTRYPOINT
from registry.store import Store, open_store
from tasks.vantages.worker import FLOW
from tests.lab.hops import HUB
from tests.lab.hub_server import QUIET, HubServer
from tests.lab.lab import ROOT, Lab
from tests.lab.servers import PASSWORD, PostgreSQL
from tests.lab.topology import VANTAGES
from tests.working import Worker

_ASSETS = Path(__file__).parent / "shop"
_PATH = f"{Path(sys.executable).parent}:/usr/lib/postgresql/15/bin"
#: Beside the one of `workers`.
_PORT = 4201
#: Nothing starts by itself in the middle of an act.
_SERVER = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in ("SCHEDULER", "TRIGGERS", "LATE_RUNS")}
SPECS = 40


class House:
    """Everything that stands before the first act. It goes with the lab.

    Attributes:
        shop: The operator's working folder: sources, flows, and `specs`, a git repository.
        dba: The DBA's.
        home: That of the operator's registry.
        old, new: Where the orders are at first, and later.
    """

    old: PostgreSQL
    new: PostgreSQL

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.folder = lab.network.directory / "story"
        self.shop = self.folder / "shop"
        self.dba = self.folder / "dba"
        self.home = self.folder / "home"
        self._workers: list[Worker] = []

    def up(self) -> None:
        """Start it all; the Prefect server starts beside the databases."""
        shutil.copytree(_ASSETS, self.shop, ignore=shutil.ignore_patterns("__pycache__"))
        self.dba.mkdir()
        shutil.chown(self.dba, PostgreSQL.user)
        self.lab.hops.wire("client")
        self.server = HubServer(self.lab, self.folder / "server", _PORT, _SERVER)
        self._databases()
        self._specs()
        self._groups()
        self.server.wait()
        self._deploy()
        self.run("python deploy.py")
        self._start_workers()

    def close(self) -> None:
        """End the workers; what they run ends with them."""
        for worker in self._workers:
            worker.stop()

    # --- commands ---------------------------------------------------------------------------------------------------

    def command(self, place: str, typed: str) -> list[str]:
        """What runs a command where somebody types it: the operator in the hub, the DBA at the databases."""
        user = None if place == "operator" else PostgreSQL.user
        return self.lab.network.command(HUB if user is None else "server", ["bash", "-c", typed], user=user)

    def folder_of(self, place: str) -> Path:
        """Where it is typed."""
        return self.shop if place == "operator" else self.dba

    def environment(self, place: str = "operator") -> dict[str, str]:
        """Whose environment holds the registry and the server, or the database that the DBA works on."""
        foreign = ("HEADWATER_", "PREFECT_", "PG")
        bare = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        bare |= {
            "TERM": "xterm",
            "NO_COLOR": "1",
            "GIT_PAGER": "cat",
            "COLUMNS": "116",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PATH": f"{_PATH}:{bare['PATH']}",
        }
        if place != "operator":
            server = self.old if place == "old" else self.new
            return bare | {"PGHOST": str(server.folder), "PGDATA": str(server.data), "PGUSER": "postgres"}
        return bare | QUIET | {
            "HEADWATER_HOME": str(self.home),
            "HEADWATER_ACTOR": "wang",
            "PREFECT_API_URL": self.server.api,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PYTHONPATH": str(ROOT),
            "SHOP_PASSWORD": PASSWORD,
        }  # fmt: skip

    def run(self, typed: str) -> str:
        """Run something that is no part of the story; what it prints."""
        done = subprocess.run(
            self.command("operator", typed), cwd=self.shop, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{typed}: {done.returncode}\n{done.stdout}")
        return done.stdout

    # --- looking ----------------------------------------------------------------------------------------------------

    def store(self) -> Store:
        """The operator's registry."""
        return open_store(self.home)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the Prefect server answers."""
        with self.lab.inside(HUB):
            url = f"{self.server.api}{path}"
            answer = httpx.get(url, timeout=30) if body is None else httpx.post(url, json=dict(body), timeout=30)
        answer.raise_for_status()
        return answer.json()

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Name -> parameters of the shop's deployments, as the server has them."""
        found: list[dict[str, Any]] = []
        body = {"limit": 200, "work_pools": {"name": {"any_": ["jobs"]}}}
        while page := self.ask("/deployments/filter", {**body, "offset": len(found)}):
            found += page
        return {one["name"]: one["parameters"] for one in found if one["entrypoint"].startswith("pipelines.py")}

    def artifact(self, key: str) -> str:
        """The newest version of a markdown artifact."""
        body = {"sort": "CREATED_DESC", "limit": 1, "artifacts": {"key": {"any_": [key]}}}
        return str(self.ask("/artifacts/filter", body)[0]["data"])

    # --- making -----------------------------------------------------------------------------------------------------

    def _databases(self) -> None:
        lab = self.lab
        self.old, self.new = (lab.postgresql(own=name) for name in ("orders", "orders_new"))
        dev, warehouse = (lab.postgresql(own=name) for name in ("dev", "warehouse"))
        orders = "INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(2, 500) n"
        self.old.sql(orders, "INSERT INTO order_lines SELECT n, n % 500 FROM generate_series(1, 2000) n")
        self.new.sql("DROP TABLE orders, order_lines")
        warehouse.sql("CREATE TABLE ods_orders (id int, note text)", "GRANT SELECT, INSERT ON ods_orders TO app")
        names = {"orders-db": self.old, "orders-db2": self.new, "warehouse": warehouse, "dev-db": dev}
        for name, server in names.items():
            lab.name(name, server.v4)

    def _groups(self) -> None:
        """The resource groups, and the key of the worker."""
        office = {"kind": "ssh", "ssh": self.lab.hops.settings("onprem"), "network": VANTAGES["onprem"].network}
        jobs = {
            "kind": "worker",
            "worker": {"work_pool": "jobs"},
            "network": {"vswitch_cidrs": [VANTAGES["client"].cidr]},
        }
        groups = [{"name": "office", **office}, {"name": "jobs", **jobs}]
        (self.folder / "groups.yaml").write_text(yaml.safe_dump({"version": 1, "resource_groups": groups}))
        self.run("env -u PREFECT_API_URL headwater apply -f ../groups.yaml")

    def _deploy(self) -> None:
        """Of what `headwater deploy` puts on a server, as much as the story needs."""
        for pool, flow, entrypoint in (
            ("headwater", "health-check", "flows.health_check.health_check"),
            ("jobs", FLOW, ENTRYPOINT),
        ):
            self.ask("/work_pools/", {"name": pool, "type": "process"})
            id_ = self.ask("/flows/", {"name": flow})["id"]
            name = pool if flow == FLOW else flow
            body = {"name": name, "flow_id": id_, "work_pool_name": pool, "entrypoint": entrypoint}
            self.ask("/deployments/", body)

    def _start_workers(self) -> None:
        """One beside the registry; one at `client`, whose flows connect by what the registry's database says."""
        home = {"HEADWATER_HOME": str(self.home)}
        here = Worker(self.folder / "headwater", "headwater", {}, self.environment(), prefix=self._entering(HUB))
        here.environment |= home
        own = self.environment() | {
            "PREFECT_API_URL": self.server.api_from("client"),
            "HEADWATER_DATABASE_URL": f"sqlite:///{self.home / 'registry.db'}",
            "HEADWATER_KEYRING": str(self.home / "keyring"),
        }
        there = Worker(self.folder / "jobs", "jobs", {}, own, prefix=self._entering("client"))
        trusted = self.run("headwater group show jobs").split("--trust ")[1].split()[0]
        self.run(f"headwater group set-key jobs {there.headwater('group', 'keygen', 'jobs', '--trust', trusted)}")
        for worker in (here, there):
            worker.start()
            self._workers.append(worker)

    def _entering(self, place: str) -> list[str]:
        return self.lab.network.command(place, [sys.executable])[:-1]

    def _specs(self) -> None:
        """Nodes of a scheduler in a git repository."""
        from tests.lab.story import specs

        folder = self.shop / "specs"
        folder.mkdir()
        specs.write(folder, SPECS)
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "Nodes of the shop"]):
            name = ["-c", "user.name=wang", "-c", "user.email=wang@shop.test"]
            subprocess.run(["git", *name, "-C", str(folder), *arguments], check=True)
