"""One lab: the network, its name server, servers on demand, and checks made from inside it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from registry.verdict import Verdict
from tests.lab import faults, recording, servers
from tests.lab.canaries import Canaries
from tests.lab.certificates import Authority, Certificate
from tests.lab.hops import HUB, Hops
from tests.lab.nameserver import Answer, NameServer
from tests.lab.network import Network
from tests.lab.topology import ROUTERS, VANTAGES, Dead, Host

ROOT = Path(__file__).resolve().parents[2]
#: How far beyond its deadline a check may end, in seconds.
GRACE = 0.5

AnyServer = TypeVar("AnyServer", bound=servers.Server)


class Lab:
    """What scenarios use. Everything is made on first use and shared until the end of the run."""

    password = servers.PASSWORD
    wrong_password = servers.WRONG_PASSWORD
    dead = Dead

    def __init__(self) -> None:
        self.network = Network()
        self.network.up()
        servers.make_accounts(self.network)
        self.names = NameServer(self.network)
        self.names.start()
        #: What the name servers behind the second routers say otherwise: ``vpc`` and ``office``.
        self.views = {
            name: NameServer(self.network, name, (router.name_server,), self.names) for name, router in ROUTERS.items()
        }
        for view in self.views.values():
            view.start()
        self.canaries = Canaries(self.network)
        self.hops = Hops(self.network)
        self.ca = Authority(self.network.directory)
        self.filter = self.network.filter
        self.inside = self.network.inside
        self._agents: dict[str, subprocess.Popen[str]] = {}
        self._servers: dict[str, servers.Server] = {}
        self.inventory = self.network.directory / "inventory.yaml"
        self._instances: list[Mapping[str, Any]] = []
        self._write_inventory()
        #: Where what the diagnosis was given is kept for the mutation run.
        self.recorded = Path(os.environ.get(recording.VARIABLE) or self.network.directory / "recorded")
        self._made = itertools.count()
        #: What scenario files share, by its description: certificates, and set-ups of servers.
        self.authorities: dict[str, Authority] = {}
        self.certificates: dict[str, Certificate] = {}
        self.prepared: dict[str, list[str]] = {}

    def close(self) -> None:
        """Remove everything."""
        for agent in self._agents.values():
            agent.kill()
            agent.wait()
        for server in self._servers.values():
            server.stop()
        for names in (self.names, *self.views.values()):
            names.close()
        self.canaries.close()
        self.hops.close()
        self.network.down()

    # -- servers ----------------------------------------------------------------------------------------------------

    def postgresql(self, **options: Any) -> servers.PostgreSQL:
        """A PostgreSQL; see `servers.PostgreSQL`. Same options, same server; `own="x"` makes another."""
        return self._server(servers.PostgreSQL, options)

    def mariadb(self, **options: Any) -> servers.MariaDB:
        """A MariaDB; see `servers.MariaDB`."""
        return self._server(servers.MariaDB, options)

    def redis(self, **options: Any) -> servers.Redis:
        """A Redis; see `servers.Redis`."""
        return self._server(servers.Redis, options)

    def sftp(self, **options: Any) -> servers.Sftp:
        """An sshd for SFTP; see `servers.Sftp`."""
        return self._server(servers.Sftp, options)

    def ftp(self, **options: Any) -> servers.Ftp:
        """A vsftpd; see `servers.Ftp`."""
        return self._server(servers.Ftp, options)

    def http(self, **options: Any) -> servers.Http:
        """An nginx; see `servers.Http`."""
        return self._server(servers.Http, options)

    def server(self, kind: type[AnyServer], **options: Any) -> AnyServer:
        """A server of any class, such as those of `stores`."""
        return self._server(kind, options)

    def _server(self, kind: type[AnyServer], options: dict[str, Any]) -> AnyServer:
        key = f"{kind.__name__} {sorted(options.items())!r}"
        if key not in self._servers:
            options.pop("own", None)
            server = kind(self.network, f"{kind.__name__.lower()}{next(self._made)}", **options)
            server.start()
            self._servers[key] = server
        found = self._servers[key]
        assert isinstance(found, kind)
        return found

    def discard(self, server: servers.Server) -> None:
        """Stop a server that is needed no more, and let others have its address."""
        server.stop()
        self._servers = {key: other for key, other in self._servers.items() if other is not server}
        self.network.give_back(server.host)

    @contextlib.contextmanager
    def listener(self, kind: str, port: int, host: str = "", **changes: Any) -> Iterator[faults.Listener]:
        """A misbehaving listener (`faults.SCRIPTS`) on an address of its own for as long as the block lasts."""
        listener = faults.listen(self.network, kind, host or self.host().v4, port, **changes)
        try:
            yield listener
        finally:
            listener.close()

    def host(self) -> Host:
        """A machine where nothing listens yet: every port is closed."""
        return self.network.host()

    # -- names ------------------------------------------------------------------------------------------------------

    def name(self, name: str, *addresses: str) -> str:
        """Let a name stand for these addresses from now on; gives the full name."""
        self.names[name] = Answer(
            a=[address for address in addresses if ":" not in address],
            aaaa=[address for address in addresses if ":" in address],
        )
        return f"{name}.lab.test" if "." not in name else name

    @contextlib.contextmanager
    def etc(self, file: str, text: str, vantage: str = "client") -> Iterator[None]:
        """Another /etc/hosts, /etc/resolv.conf or /etc/nsswitch.conf at a vantage for as long as the block lasts."""
        path = self.network.etc(vantage) / file
        before = path.read_text()
        path.write_text(text)  # in place: the file is mounted over /etc
        try:
            yield
        finally:
            path.write_text(before)

    @contextlib.contextmanager
    def known_instances(self, instances: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        """Let the inventory of every vantage know these instances for as long as the block lasts."""
        self._instances += instances
        self._write_inventory()
        try:
            yield
        finally:
            self._instances = [known for known in self._instances if known not in instances]
            self._write_inventory()

    def _write_inventory(self) -> None:
        accounts = [{"id": "1234567890", "roles": ["reader"]}]
        self.inventory.write_text(json.dumps({"version": 1, "accounts": accounts, "instances": self._instances}))

    # -- checks -----------------------------------------------------------------------------------------------------

    def check(
        self, type: str, entry: Mapping[str, Any], *, timeout: float = 5.0, vantage: str = "client",
        source: str = "orders", permitted_ranges: Sequence[str] = (), network: Mapping[str, Any] | None = None,
        via: str = "local", settings: Mapping[str, Any] | None = None,
    ) -> Verdict:  # fmt: skip
        """Check one entry, written as in the declarative file, from a vantage.

        Secrets may stand in the entry itself. Fails when the check breaks or outlives its deadline.

        Args:
            network: What is declared about the vantage's network, in place of what is true (`Vantage.network`).
            via: ``local`` runs the check at the vantage, ``ssh`` in ``hub`` through an SSH server at the vantage.
            settings: Those of the resource group, in place of those that go into the vantage.
        """
        request = {
            "type": type, "entry": entry, "timeout": timeout, "vantage": vantage, "source": source,
            "permitted_ranges": list(permitted_ranges),
            "network": VANTAGES[vantage].network if network is None else network,
        }  # fmt: skip
        if settings is not None:
            request["settings"] = settings
        place, request = self._placed(request, via)
        answer = self._ask(place, request)
        assert "broken" not in answer, answer["broken"]
        assert answer["seconds"] <= timeout + GRACE, f"took {answer['seconds']:.2f} s with a deadline of {timeout} s"
        return Verdict.model_validate(answer["verdict"])

    def cli(
        self, arguments: Sequence[str], *, vantage: str = "client", env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run the real command line at a vantage, with an empty home of its own unless `env` names one."""
        home = self.network.directory / "cli-home"
        command = self.network.command(vantage, [str(Path(sys.executable).with_name("headwater")), *arguments])
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
            env={**os.environ, "HEADWATER_HOME": str(home), **(env or {})},
        )  # fmt: skip

    def check_all(
        self, requests: Sequence[Mapping[str, Any]], *, via: str = "local", at_once: int = 6
    ) -> list[dict[str, Any]]:
        """Check many entries from their vantages, several at a time.

        Args:
            requests: Each with ``type``, ``entry``, ``timeout``, ``vantage``, ``source``, ``permitted_ranges`` and
                ``network``, as for `check`.

        Returns:
            For each request ``verdict`` and ``seconds``, or ``broken`` with the traceback.
        """
        placed = [self._placed(request, via) for request in requests]
        places = dict.fromkeys(place for place, _ in placed)
        shares = {here: [request for place, request in placed if place == here] for here in places}

        def ask(place: str) -> Iterator[dict[str, Any]]:
            return iter(self._ask(place, {"all": shares[place], "at_once": at_once}))

        for place in places:  # from this thread: a process ends with the thread that started it
            self._running_agent(place)
        with ThreadPoolExecutor(3) as pool:
            answers = dict(zip(places, pool.map(ask, places), strict=True))
        return [next(answers[place]) for place, _ in placed]

    def _placed(self, request: Mapping[str, Any], via: str) -> tuple[str, dict[str, Any]]:
        """Where a request is sent to, and with what, so that it is answered from its vantage."""
        if via == "local":
            return request["vantage"], dict(request)
        settings = request.get("settings") or self.hops.settings(request["vantage"])
        return HUB, {**request, "kind": via, "settings": settings}

    def _ask(self, vantage: str, request: Mapping[str, Any]) -> Any:
        agent = self._running_agent(vantage)
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(json.dumps(request) + "\n")
        agent.stdin.flush()
        line = agent.stdout.readline()
        assert line, "the agent died; what it said stands above"
        return json.loads(line)

    def _running_agent(self, vantage: str) -> subprocess.Popen[str]:
        agent = self._agents.get(vantage)
        if agent is None or agent.poll() is not None:
            agent = self._agents[vantage] = self._agent(vantage)
        return agent

    def _agent(self, vantage: str) -> subprocess.Popen[str]:
        assert vantage in (*VANTAGES, HUB), f"no vantage {vantage!r}: {', '.join(VANTAGES)}"
        return subprocess.Popen(
            self.network.command(vantage, [sys.executable, "-m", "tests.lab.agent"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={
                **os.environ, recording.VARIABLE: str(self.recorded), "HEADWATER_INVENTORY": str(self.inventory),
            },
        )  # fmt: skip
