"""A scenario brought up in a lab: its server, its faults, its words; and everything taken away again."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tests.lab import scenario as data
from tests.lab.certificates import Authority, Certificate
from tests.lab.kerberized import BY_TICKET
from tests.lab.lab import Lab
from tests.lab.nameserver import Answer
from tests.lab.network import run
from tests.lab.realm import AheadKdc, Kdc
from tests.lab.scenario import Fault, Scenario, filled
from tests.lab.servers import PASSWORD, WRONG_PASSWORD, Http, Redis, Server, Sftp
from tests.lab.topology import NAME_SERVER, VANTAGES, Dead

_DEAD = {f"dead.{name}": value for name, value in vars(Dead).items() if not name.startswith("_")}


class Standing:
    """One scenario in one language. `up` and `broken` are separate: a check may be made before the faults.

    Attributes:
        words: What the placeholders of its file stand for.
    """

    def __init__(self, lab: Lab, scenario: Scenario, language: str) -> None:
        self.lab = lab
        self.scenario = scenario
        self.language = language
        self.words: dict[str, str] = {}
        self.server: Server | None = None
        self._stack = contextlib.ExitStack()

    def up(self) -> None:
        """Start the server and give the names; nothing is wrong yet."""
        scenario, lab = self.scenario, self.lab
        slug = f"{scenario.name}-{self.language[:2]}" if len(scenario.languages) > 1 else scenario.name
        spec = scenario.server
        name = spec.name if spec and spec.name else slug
        self.words = {
            "slug": slug, "id": slug.replace("-", "_"), "name": f"{name}.lab.test",
            "password": PASSWORD, "wrong_password": WRONG_PASSWORD,
            "name_server": NAME_SERVER, "ca": str(lab.ca.bundle), "folder": str(lab.network.directory), **_DEAD,
        }  # fmt: skip
        if scenario.realm is not None:
            self.words |= self._realm(scenario.realm)
        self.server = self._serve(spec, own="" if not spec.own else "first") if spec else None
        if scenario.second is not None:
            self.words |= _addresses("second", self._serve(scenario.second, own="second").host)
        host = self.server.host if self.server else self._host()
        self.words |= _addresses("", host)
        if "other" in self._asked():
            self.words |= _addresses("other", self._host())
        if self.server is not None:
            self.words |= _of_server(self.server)
        self.words |= self._of_client(slug)
        if scenario.inventory:
            self._stack.enter_context(lab.known_instances(filled(scenario.inventory, self.words, scenario.name)))
        if not any(fault.name and not fault.name.view for fault in scenario.faults):
            lab.name(name, host.v4)
        if spec:
            self._prepare(spec.run)

    def _of_client(self, slug: str) -> dict[str, str]:
        """The files that the client has."""
        words = {}
        for file, text in self.scenario.files.items():
            path = self.lab.network.directory / f"{slug}-{file}"
            path.write_text(text)
            words[f"files.{file}"] = str(path)
        if "other_ca" in self._asked():
            words["other_ca"] = str(self._authority("Other CA").bundle)
        if self.scenario.client is not None:
            made = self.certificate(self.scenario.client)
            words |= {"client.certificate": str(made.certificate), "client.key": str(made.key)}
        return words

    def breaks(self) -> None:
        """Let the faults begin."""
        for fault in self.scenario.faults:
            self._break(fault)

    def down(self) -> None:
        """Undo everything but shared servers."""
        self._stack.close()

    def request(self, vantage: str, kind: data.Kind = "local") -> dict[str, Any]:
        """What to check from a vantage of a kind, as `Lab.check_all` takes it."""
        source = self.scenario.source
        return {
            **({"settings": self._hop(vantage)} if kind == "ssh" and self.scenario.hop else {}),
            **({"pool": self.scenario.pool} if self.scenario.pool else {}),
            "type": source.type,
            "entry": filled(source.entry, self.words, self.scenario.name),
            "timeout": source.timeout,
            "permitted_ranges": list(source.permitted_ranges),
            "source": self.words["slug"],
            "vantage": vantage,
            "network": self.scenario.declared.get(vantage, VANTAGES[vantage].network),
        }

    def certificate(self, spec: data.Tls) -> Certificate:
        """A certificate as described; the same for the same description, so that servers can be shared."""
        words = {"name": self.words["name"]}
        names = tuple(filled(spec.names, words, self.scenario.name))
        key = f"{spec.model_dump(exclude={'names'})} {names}"
        if key not in self.lab.certificates:
            self.lab.certificates[key] = self._authority(spec.authority).issue(
                *names, valid_from=spec.valid_from, valid_to=spec.valid_to, client=spec.client
            )
        return self.lab.certificates[key]

    def _hop(self, vantage: str) -> dict[str, Any]:
        """The settings of the resource group, where the scenario changes them."""
        hop, hops = self.scenario.hop, self.lab.hops
        assert hop is not None
        words = self.words | {"hop.strange_key": str(hops.strange_key), "hop.encrypted_key": str(hops.encrypted_key)}
        return hops.at(vantage, lines=hop.lines).settings(**filled(hop.settings, words, self.scenario.name))

    def _realm(self, spec: data.Realm) -> dict[str, str]:
        """A KDC of the scenario's own; its file and keytabs."""
        kdc = self.lab.server(AheadKdc if spec.ahead else Kdc, own=f"{self.scenario.name} {self.language}")
        self._stack.callback(self.lab.discard, kdc)
        for principal in filled(spec.principals, self.words, self.scenario.name):
            kdc.principal(principal)
        keytabs = filled(spec.keytabs, self.words, self.scenario.name)
        words = {f"realm.{name}": str(kdc.keytab(name, *principals)) for name, principals in keytabs.items()}
        for query in filled(spec.admin, self.words | words, self.scenario.name):
            kdc.admin(query)
        return {**words, "realm.conf": str(kdc.folder / "krb5.conf"), "realm.kdc": kdc.v4}

    def _authority(self, name: str) -> Authority:
        if name and name not in self.lab.authorities:
            self.lab.authorities[name] = Authority(self.lab.network.directory, name)
        return self.lab.authorities[name] if name else self.lab.ca

    def _asked(self) -> set[str]:
        given = self.scenario.model_dump(mode="json")
        return {word.partition(".")[0] for word in data.placeholders(given)}

    def _host(self) -> Any:
        host = self.lab.host()
        self._stack.callback(self.lab.network.give_back, host)
        return host

    def _serve(self, spec: data.Server, own: str) -> Server:
        """A server; with `own` one that nobody shares."""
        options = filled(spec.options, self.words, self.scenario.name)
        if spec.tls:
            options["tls"] = self.certificate(spec.tls)
        if self.language != "en":
            options["language"] = self.language
        if own:
            options["own"] = f"{self.scenario.name} {self.language} {own}"
        kind = BY_TICKET.get(spec.type)
        server: Server = self.lab.server(kind, **options) if kind else getattr(self.lab, spec.type)(**options)
        if own:
            self._stack.callback(self.lab.discard, server)
        return server

    def _prepare(self, statements: Sequence[str]) -> None:
        """Set the server up, once for each scenario and server."""
        done = self.lab.prepared.setdefault(f"{id(self.server)} {self.words['id']}", [])
        todo = [one for one in filled(statements, self.words, self.scenario.name) if one not in done]
        done += todo
        if not todo:
            return
        if isinstance(self.server, Redis):
            for command in todo:
                self.server.command(*shlex.split(command))
        else:
            self.server.sql(*todo)  # type: ignore[union-attr]

    def _break(self, fault: Fault) -> None:
        given = filled(fault.model_dump(exclude_none=True), self.words, self.scenario.name)
        ((name, value),) = given.items()
        getattr(self, f"_break_{name}")(fault, value)

    def _break_filter(self, _fault: Fault, value: Mapping[str, Any]) -> None:
        self._stack.enter_context(self.lab.filter(**value))

    def _break_listener(self, fault: Fault, value: Mapping[str, Any]) -> None:
        assert fault.listener is not None
        kind, port, host = value["kind"], value["port"], value["host"]
        self._stack.enter_context(self.lab.listener(kind, port, host, **fault.listener.changes()))

    def _break_name(self, _fault: Fault, value: dict[str, Any]) -> None:
        view, name = value.pop("view"), value.pop("name")
        names = self.lab.views[view] if view else self.lab.names
        self._stack.enter_context(names.answering(name, Answer(**value)))

    def _break_etc(self, _fault: Fault, value: Mapping[str, Any]) -> None:
        text = value["text"]
        if value["add"]:
            text = (self.lab.network.etc(value["at"]) / value["file"]).read_text() + text
        self._stack.enter_context(self.lab.etc(value["file"], text, value["at"]))

    def _break_command(self, _fault: Fault, value: Mapping[str, Any]) -> None:
        def do(line: str) -> None:
            run(self.lab.network.command(value["at"], shlex.split(line)))

        do(value["run"])
        self._stack.callback(do, value["undo"])

    def _break_sessions(self, _fault: Fault, value: Mapping[str, Any]) -> None:
        self._stack.enter_context(self.server.sessions(value["count"], user=value["user"]))  # type: ignore[union-attr]

    def _break_run(self, _fault: Fault, value: Sequence[str]) -> None:
        self._prepare(value)

    def _break_stop(self, _fault: Fault, _value: bool) -> None:
        assert self.server is not None
        self.server.stop()


def _addresses(prefix: str, host: Any) -> dict[str, str]:
    dot = f"{prefix}." if prefix else ""
    found = {f"{dot}{key}": getattr(host, key) for key in ("v4", "v6", "public", "public_v6")}
    return {**found, prefix or "host": host.v4}


def _of_server(server: Server) -> dict[str, str]:
    words = {"server.folder": str(server.folder), "port": str(server.port)}
    if isinstance(server, Sftp):
        words |= {"server.host_key": server.host_key, "server.client_key": str(server.client_key)}
    if isinstance(server, Http):
        words["url"] = server.url("")
    return words
