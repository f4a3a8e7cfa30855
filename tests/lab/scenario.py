"""A scenario as one small file of data: what stands, what is broken, from where it is looked at, what must be said.

``scenarios/NAME.yaml``::

    title: Firewall drops the port, the host answers on another
    source:
      type: postgresql
      entry: {address: {host: "${host}", port: 5432}, database: shop, username: app, password: "${password}"}
    from: [client]
    faults:
      - listener: {kind: mute, port: 22}
      - filter: {action: drop, port: 5432}
    expect: {code: FILTER.DROP, state: Unreachable, component: "${host}:5432", within: 2.5}

``${...}`` stands for what is known only when the scenario stands: `tests.lab.standing.words`. Every key is described at
the models below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from registry.verdict import INCONCLUSIVE, State
from tests.lab.faults import SCRIPTS
from tests.lab.topology import ACTIONS, ROUTERS, VANTAGES

FOLDER = Path(__file__).parent / "scenarios"

Kind = Literal["local", "ssh", "worker"]
KINDS: tuple[Kind, ...] = ("local", "ssh", "worker")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


class ScenarioError(Exception):
    """A scenario file that cannot be used: which one, where in it, and what is wrong."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Data):
    """What is checked. `entry` is written as in the declarative file; `timeout` is the deadline in seconds."""

    type: str
    entry: dict[str, Any]
    timeout: float = Field(3.0, gt=0)
    permitted_ranges: tuple[str, ...] = ()


class Tls(_Data):
    """A certificate, as `tests.lab.certificates.Authority.issue` makes it; `authority` is the lab's own by default."""

    names: tuple[str, ...]
    valid_from: float = -1
    valid_to: float = 365
    client: bool = False
    authority: str = ""


class Server(_Data):
    """A real server; scenarios with the same type and options share it.

    Attributes:
        name: The name that leads to it, ``${name}``; that of the scenario by default.
        own: Whether nobody shares it: for what is done to the server, or to its address, as a whole.
        run: SQL statements (PostgreSQL, MariaDB) or commands (Redis) that set it up; ``${id}`` is unique.
    """

    type: Literal[
        "postgresql", "mariadb", "redis", "sftp", "ftp", "http",
        "kafka_by_ticket", "hive_by_ticket", "zookeeper_by_ticket",
    ]  # fmt: skip
    options: dict[str, Any] = {}
    tls: Tls | None = None
    name: str = ""
    own: bool = False
    run: tuple[str, ...] = ()


class Filter(_Data):
    """A firewall rule, as `tests.lab.network.Network.filter` takes it; for the scenario's own host by default."""

    action: str
    host: str = "${host}"
    port: int | None = None
    at: str = "router"
    longer_than: int | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        _one_of(self.action, ACTIONS, "action")
        _one_of(self.at, ("router", "server", *ROUTERS, *VANTAGES), "place")
        return self


class Listener(_Data):
    """A misbehaving listener (`tests.lab.faults.SCRIPTS`); what is given replaces parts of its script."""

    kind: str
    port: int
    host: str = "${host}"
    greeting: str | None = None
    reply: str | None = None
    pace: float | None = None
    end: Literal["hold", "close", "reset"] | None = None
    wait: bool | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        _one_of(self.kind, SCRIPTS, "listener")
        return self

    def changes(self) -> dict[str, Any]:
        """What replaces parts of the script; texts as bytes."""
        given = self.model_dump(exclude={"kind", "port", "host"}, exclude_none=True)
        return {key: value.encode("latin-1") if isinstance(value, str) and key != "end" else value
                for key, value in given.items()}  # fmt: skip


class Name(_Data):
    """What the name servers answer, as `tests.lab.nameserver.Answer`; in one view only, or in all."""

    name: str = "${name}"
    view: str = ""
    a: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()
    cname: str = ""
    rcode: str = "NOERROR"
    drop: bool = False
    truncate: bool = False
    delay: float = 0.0


class Etc(_Data):
    """Another text of a file of /etc at a vantage, or with `add` more lines of it."""

    file: Literal["hosts", "resolv.conf", "nsswitch.conf"]
    text: str
    at: str = "client"
    add: bool = False


class Command(_Data):
    """A command at a place and the one that undoes it: sysctl, tc, ip route. `alone`: others would notice."""

    at: str
    run: str
    undo: str
    alone: bool = True


class Sessions(_Data):
    """Sessions that others hold open on a PostgreSQL server."""

    count: int
    user: str = "postgres"


class Hop(_Data):
    """The SSH server that the vantage is reached by: lines of its sshd_config, and other settings of the group."""

    lines: tuple[str, ...] = ()
    settings: dict[str, Any] = {}


class Realm(_Data):
    """A Kerberos realm (`tests.lab.realm`): principals, and keytabs of them, ``${realm.NAME}``; ``${realm.conf}``.

    Attributes:
        ahead: Whether the KDC's clock is an hour ahead.
        admin: Queries of kadmin.local, after the keytabs are made.
    """

    principals: tuple[str, ...]
    keytabs: dict[str, tuple[str, ...]] = {}
    ahead: bool = False
    admin: tuple[str, ...] = ()


class Fault(_Data):
    """One thing that is wrong; exactly one of these. `stop` ends the server."""

    filter: Filter | None = None
    listener: Listener | None = None
    name: Name | None = None
    etc: Etc | None = None
    command: Command | None = None
    sessions: Sessions | None = None
    run: tuple[str, ...] | None = None
    stop: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(type(self).model_fields)}, not {', '.join(given) or 'none'}")
        return self

    @property
    def alone(self) -> bool:
        """Whether other scenarios would notice it."""
        return bool(
            (self.filter and not self.filter.host)
            or (self.etc and not self.etc.add)
            or (self.command and self.command.alone)
        )

    @property
    def needs_own_server(self) -> bool:
        """Whether those who share the server would notice it."""
        return bool(self.stop or (self.filter and self.filter.host) or (self.sessions and self.sessions.count > 2))


class Expect(_Data):
    """What the verdict must be. Texts must be contained; `alternatives` are the whole set; `warned` stands in a
    warning; `within` is a time in seconds, by default that of the deadline; `may_pass`: a check that happens not to
    meet the fault may succeed."""

    code: str | None
    state: State
    alternatives: tuple[str, ...] = ()
    component: str = ""
    message: str = ""
    remedy: str = ""
    owner: str = ""
    warnings: tuple[str, ...] = ()
    warned: str = ""
    within: float | None = None
    may_pass: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.code is None) != (self.state is State.CONNECTABLE):
            raise ValueError(f"code {self.code} does not go with state {self.state.value}")
        if (self.code == INCONCLUSIVE) != bool(self.alternatives):
            raise ValueError(f"{INCONCLUSIVE} and alternatives go together")
        return self


class Differing(Expect):
    """What one kind of vantage says otherwise, and why that is right; with `at` at one vantage only."""

    reason: str
    at: str = ""


class Scenario(_Data):
    """One scenario.

    Attributes:
        vantages: From where it is looked at (``from``). Verdicts of several are reviewed together.
        files: Files of the client, ``${files.NAME}`` -> text.
        second: Another server, ``${second.v4}``; nobody shares it.
        realm: A Kerberos realm, made before the server.
        inventory: Instances (`registry.inventory`) that the vantages know.
        hop: What is particular about the way in by SSH.
        pool: The work pool that the group names, where it is not the worker's.
        client: The client's certificate, ``${client.certificate}`` and ``${client.key}``.
        left_out: Kinds of vantage that it is not passed from, each with the reason.
        faults: In this order, after the server stands.
        before: Whether a check succeeds from each vantage before the faults: the past is a witness.
        declared: Vantage -> what is declared about its network otherwise than it is.
        elsewhere: Vantage -> what must be said there, where that is not `expect`.
        differs: Kind -> what must be said there otherwise.
        languages: Those of the server; the verdict is the same in each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str
    title: str
    source: Source
    vantages: tuple[str, ...] = Field(("client",), alias="from", min_length=1)
    left_out: dict[Kind, str] = {}
    server: Server | None = None
    second: Server | None = None
    realm: Realm | None = None
    inventory: tuple[dict[str, Any], ...] = ()
    hop: Hop | None = None
    pool: str = ""
    client: Tls | None = None
    files: dict[str, str] = {}
    faults: tuple[Fault, ...] = ()
    before: bool = False
    declared: dict[str, dict[str, Any]] = {}
    expect: Expect
    elsewhere: dict[str, Expect] = {}
    differs: dict[Kind, Differing] = {}
    languages: tuple[str, ...] = ("en",)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for vantage in (*self.vantages, *self.declared, *self.elsewhere):
            _one_of(vantage, VANTAGES, "vantage")
        strangers = [vantage for vantage in self.elsewhere if vantage not in self.vantages]
        if strangers:
            raise ValueError(f"elsewhere: {', '.join(strangers)}: not among the vantages of `from`")
        shared = self.server is not None and not self.server.own
        if shared and any(fault.needs_own_server for fault in self.faults):
            raise ValueError("a fault that others would notice on a shared server: set server.own: true")
        if self.languages != ("en",) and self.server is None:
            raise ValueError("languages are those of a server, and there is none")
        return self

    @property
    def alone(self) -> bool:
        """Whether no other scenario may stand at the same time."""
        return any(fault.alone for fault in self.faults)

    @property
    def family(self) -> str:
        """The family of what is expected, as the catalogue has it; that of the first alternative."""
        code = self.expect.alternatives[0] if self.expect.code == INCONCLUSIVE else self.expect.code
        return code.partition(".")[0] if code else "good"

    def expected(self, vantage: str, kind: Kind) -> Expect:
        """What must be said at a vantage of a kind."""
        differing = self.differs.get(kind)
        if differing is not None and differing.at in ("", vantage):
            return differing
        return self.elsewhere.get(vantage) or self.expect


def load(path: Path) -> Scenario:
    """A scenario file.

    Raises:
        ScenarioError: It is no scenario.
    """
    try:
        return Scenario.model_validate({"name": path.stem, **(yaml.safe_load(path.read_text()) or {})})
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path.name}: not YAML: {error}") from None
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())
        raise ScenarioError(f"{path.name}: {told}") from None


def every() -> list[Scenario]:
    """All scenarios, by name."""
    return [load(path) for path in sorted(FOLDER.glob("*.yaml"))]


def named(name: str) -> Scenario:
    """The scenario of this name.

    Raises:
        ScenarioError: There is none.
    """
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        near = [other.stem for other in sorted(FOLDER.glob("*.yaml")) if name.casefold() in other.stem]
        hint = f"like it: {', '.join(near)}" if near else "scripts/lab list shows all"
        raise ScenarioError(f"no scenario {name!r}; {hint}")
    return load(path)


def filled(value: Any, words: Mapping[str, str], where: str) -> Any:
    """A value of a file with its placeholders replaced, however deep they stand.

    Raises:
        ScenarioError: A placeholder that stands for nothing.
    """
    if isinstance(value, str):
        unknown = [word for word in _PLACEHOLDER.findall(value) if word not in words]
        if unknown:
            raise ScenarioError(f"{where}: ${{{unknown[0]}}} stands for nothing; known: {', '.join(sorted(words))}")
        return _PLACEHOLDER.sub(lambda match: words[match[1]], value)
    if isinstance(value, Mapping):
        return {key: filled(item, words, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, words, where) for item in value]
    return value


def placeholders(value: Any) -> Iterator[str]:
    """The placeholders in a value, however deep."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from placeholders(item)


def _one_of(value: str, known: Any, what: str) -> None:
    if value not in known:
        raise ValueError(f"no {what} {value!r}: {', '.join(known)}")
