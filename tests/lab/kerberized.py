"""Servers that ask for a ticket of Kerberos."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.lab.network import Network
from tests.lab.realm import AN_HOUR_AHEAD
from tests.lab.stores import Store, ZooKeeper

_ROOT = Path(__file__).parents[2]
#: Cyrus SASL's module, which takes the tickets.
_GSSAPI = "/usr/lib/x86_64-linux-gnu/sasl2/libgssapiv2.so"


class KerberosBroker(Store):
    """The scripted broker of `kafka_broker` with a login by ticket, which Cyrus SASL and MIT Kerberos check.

    Args:
        keytab: The server's.
        itself: The name that it advertises, and that its principal has.
        layer: Whether it demands that what follows the login is signed or sealed.
        beside: Another broker of the cluster, which leads the topic `far`.
        ahead: Whether its clock is an hour ahead.
        fault: `impostor`, which has no key, or `account`: it lets nobody in.
    """

    needs = (_GSSAPI,)
    port = 9092

    def __init__(
        self, network: Network, name: str, *, keytab: str, itself: str, service: str = "kafka", layer: bool = False,
        beside: str = "", ahead: bool = False, fault: str = "",
    ) -> None:  # fmt: skip
        self.fault = fault
        self.itself = itself
        self.beside = beside
        self.ahead = ahead
        self.kerberos = {"service": service, "host": itself, "keytab": keytab, "layer": layer}
        super().__init__(network, name)

    def arguments(self) -> Sequence[str]:
        brokers = [[1, self.itself, self.port], *([[2, self.beside, self.port]] if self.beside else [])]
        listener: dict[str, Any] = {"brokers": brokers, "mechanisms": ["GSSAPI"], "kerberos": self.kerberos}
        listener["fault"] = self.fault
        settings = {"host": self.v4, "topics": {"orders": 1, "far": 2}, "listeners": {self.port: listener}}
        script = str(Path(__file__).with_name("kafka_broker.py"))
        environment = [f"PYTHONPATH={_ROOT}", *(AN_HOUR_AHEAD if self.ahead else ())]
        return ["env", *environment, sys.executable, script, json.dumps(settings)]


class _Scripted(Store):
    """A script of this folder around Cyrus SASL.

    Args:
        keytab, itself: The server's keytab, and the name that its principal has.
        mechanism: The only one that it takes.
        closed: Whether it lets nobody in, ticket or not.
    """

    needs = (_GSSAPI,)
    script: ClassVar[str]
    service: ClassVar[str]
    mechanism: ClassVar[str]

    def __init__(
        self, network: Network, name: str, *, keytab: str, itself: str, service: str = "", mechanism: str = "",
        closed: bool = False,
    ) -> None:  # fmt: skip
        principal = (service or self.service, itself, keytab)
        self.settings = (mechanism or self.mechanism, *principal, *(["closed"] if closed else []))
        super().__init__(network, name)

    def arguments(self) -> Sequence[str]:
        given = ",".join((self.v4, str(self.port), *self.settings))
        return ["env", f"PYTHONPATH={_ROOT}", sys.executable, "-m", f"tests.lab.{self.script}", given]


class KerberosHive(_Scripted):
    """HiveServer2 as far as `hive_server` goes."""

    port = 10000
    script, service, mechanism = "hive_server", "hive", "GSSAPI"


class KerberosNameNode(_Scripted):
    """A NameNode as far as `hdfs_server` goes."""

    port = 8020
    script, service, mechanism = "hdfs_server", "nn", "KERBEROS"


class KerberosZooKeeper(ZooKeeper):
    """ZooKeeper with the login module of Java's own Kerberos.

    Args:
        keytab, principal, conf: The server's keytab and principal, and the krb5.conf of its realm.
        login_only: Whether clients without a login are sent away.
        paths: Znodes without data, beside those of `znodes`.
    """

    def __init__(
        self, network: Network, name: str, *, keytab: str, principal: str, conf: str, login_only: bool = False,
        paths: Sequence[str] = (), znodes: Mapping[str, bytes] | None = None,
    ) -> None:  # fmt: skip
        self.kerberos = (keytab, principal, conf)
        self.login_only = login_only
        super().__init__(network, name, znodes={**dict.fromkeys(paths, b""), **(znodes or {})})

    def prepare(self) -> None:
        super().prepare()
        keytab, principal, _ = self.kerberos
        (self.folder / "jaas.conf").write_text(
            "Server {\n com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true\n"
            f' useTicketCache=false keyTab="{keytab}" principal="{principal}";\n}};\n'
        )
        self._configure("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider")

    def start(self) -> None:
        super().start()
        if self.login_only:  # the znodes are made by a client without a login
            self.stop()
            self.znodes = {}
            self._configure("enforce.auth.enabled=true", "enforce.auth.schemes=sasl")
            super().start()

    def _configure(self, *lines: str) -> None:
        with (self.folder / "zoo.cfg").open("a") as config:
            config.writelines(f"{line}\n" for line in lines)

    def arguments(self) -> Sequence[str]:
        java, *rest = super().arguments()
        conf = self.kerberos[2]
        options = [
            f"-Djava.security.auth.login.config={self.folder / 'jaas.conf'}",
            f"-Djava.security.krb5.conf={conf}",
        ]
        return [java, *options, *rest]


#: Server type of a scenario -> its class.
BY_TICKET: dict[str, type[Store] | type[KerberosZooKeeper]] = {
    "kafka_by_ticket": KerberosBroker, "hive_by_ticket": KerberosHive, "zookeeper_by_ticket": KerberosZooKeeper,
}  # fmt: skip
