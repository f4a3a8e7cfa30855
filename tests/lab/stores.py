"""Real servers of stores, queues and caches; the pattern is that of `servers`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.lab.certificates import Certificate
from tests.lab.network import Network, run
from tests.lab.servers import PASSWORD, Server


class Store(Server):
    """A server whose packages a machine may lack: what needs it is then skipped, and nothing else.

    Attributes:
        needs: The programs and files it runs by.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, network: Network, name: str, *, tls: Certificate | None = None) -> None:
        lacking = [one for one in self.needs if shutil.which(one, path=f"{os.environ['PATH']}:/usr/sbin") is None]
        lacking = [one for one in lacking if not Path(one).is_file()]
        if lacking:
            pytest.skip(f"not installed: {', '.join(lacking)} (run scripts/setup)")
        super().__init__(network, name, tls=tls)


class RabbitMQ(Store):
    """RabbitMQ 3.10: virtual host `shop` with the queues `orders` and `closed`, which `app` may not read.

    Further: the account `barred`, which may read nothing of it, the virtual host `private` without `app`, `full`
    without room for a connection; `lines` of rabbitmq.conf.
    """

    needs = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)

    port = 5672
    user = "rabbitmq"

    def __init__(
        self, network: Network, name: str, *, lines: Sequence[str] = (), tls: Certificate | None = None
    ) -> None:
        self.lines = lines
        super().__init__(network, name, tls=tls)

    def prepare(self) -> None:
        config = [
            f"listeners.tcp.1 = {self.v4}:{self.port}", f"load_definitions = {self.folder / 'definitions.json'}",
            "log.console.level = warning", *self.lines,
        ]  # fmt: skip
        if self.tls:
            config += [
                f"listeners.ssl.1 = {self.v4}:5671", f"ssl_options.certfile = {self.tls.certificate}",
                f"ssl_options.keyfile = {self.tls.key}", f"ssl_options.cacertfile = {self.tls.authority}",
            ]  # fmt: skip
        (self.folder / "rabbitmq.conf").write_text("\n".join(config) + "\n")
        (self.folder / "plugins").write_text("[].\n")
        everything, app = (
            {"configure": ".*", "write": ".*", "read": ".*"},
            {"configure": "", "write": "", "read": "orders"},
        )
        definitions = {
            "rabbit_version": "3.10.8",
            "vhosts": [{"name": name} for name in ("/", "shop", "private", "full")],
            "users": [
                {"name": name, "password": PASSWORD, "tags": ""} for name in ("app", "barred", "guest")
            ],
            "permissions": [
                {"user": "guest", "vhost": "/", **everything}, {"user": "app", "vhost": "shop", **app},
                {"user": "app", "vhost": "full", **app},
                {"user": "barred", "vhost": "shop", "configure": "^$", "write": "^$", "read": "^$"},
            ],
            "queues": [
                {"name": name, "vhost": "shop", "durable": True, "auto_delete": False, "arguments": {}}
                for name in ("orders", "closed")
            ],
            "parameters": [
                {"component": "vhost-limits", "vhost": "full", "name": "limits", "value": {"max-connections": 0}}
            ],
        }  # fmt: skip
        (self.folder / "definitions.json").write_text(json.dumps(definitions))

    def arguments(self) -> Sequence[str]:
        folder = self.folder
        environment = {
            "HOME": folder, "RABBITMQ_NODENAME": f"{self.name}@localhost", "RABBITMQ_BASE": folder,
            "RABBITMQ_MNESIA_BASE": folder / "mnesia", "RABBITMQ_LOGS": "-", "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq", "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_PID_FILE": folder / "pid", "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Two cores are enough: every scheduler spins for a while before it sleeps.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }  # fmt: skip
        return [
            "env", *(f"{name}={value}" for name, value in environment.items()), "/usr/lib/rabbitmq/bin/rabbitmq-server",
        ]  # fmt: skip


class Kafka(Store):
    """A scripted broker (`kafka_broker`) on 9092 in clear, 9093 over TLS and 9094 and 9095 with a login.

    Topic `orders` is led by broker 1, itself; `far` by broker 2, which `elsewhere` (host, port) stands for; `closed`
    may not be seen, `unreadable` may not be read.
    """

    port = 9092

    def __init__(
        self, network: Network, name: str, *, elsewhere: tuple[str, int] | None = None, itself: str = "",
        tls: Certificate | None = None,
    ) -> None:  # fmt: skip
        self.elsewhere = elsewhere
        self.itself = itself
        super().__init__(network, name, tls=tls)

    def arguments(self) -> Sequence[str]:
        itself = self.itself or self.v4
        files = {"certificate": str(self.tls.certificate), "key": str(self.tls.key)} if self.tls else {}
        login = {"mechanisms": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], "user": "app", "password": PASSWORD}

        def listener(port: int, **more: Any) -> dict[str, Any]:
            beside = [[2, *self.elsewhere]] if self.elsewhere else []
            return {"brokers": [[1, itself, port], *beside], **more}

        settings = {
            "host": self.v4, "topics": {"orders": 1, "far": 2, "closed": -1, "unreadable": 1},
            "listeners": {
                9092: listener(9092), 9094: listener(9094, **login),
                **({9093: listener(9093, **files), 9095: listener(9095, **login, **files)} if files else {}),
            },
        }  # fmt: skip
        return [sys.executable, str(Path(__file__).with_name("kafka_broker.py")), json.dumps(settings)]


class LibrdkafkaMock(Store):
    """The cluster of three brokers that librdkafka brings for tests of its clients, on the loopback of a vantage."""

    needs = ("kcat",)

    def prepare(self) -> None:
        self.port = 0  # type: ignore[misc]

    def arguments(self) -> Sequence[str]:
        options = {"test.mock.num.brokers": 3, "allow.auto.create.topics": "true"}
        given = [word for name, value in options.items() for word in ("-X", f"{name}={value}")]
        return ["kcat", *given, "-b", "ignored", "-C", "-t", "orders", "-d", "broker"]

    def start(self) -> None:
        command = self.network.command("client", self.arguments())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        ends = time.monotonic() + 10
        while not (found := re.search(r"127\.0\.0\.1:(\d+)", self.log.read_text(errors="replace"))):
            assert time.monotonic() < ends, self.log.read_text(errors="replace")
            time.sleep(0.05)
        self.port = int(found[1])  # type: ignore[misc]


class Memcached(Store):
    """memcached 1.6 with the key `orders`.

    Args:
        options: Further words of the command line.
        login: ``sasl`` (binary only, account `app@lab`) or ``file`` (text only, account `app`).
    """

    needs = ("memcached", "saslpasswd2")

    port = 11211
    user = "memcache"

    def __init__(
        self, network: Network, name: str, *, options: Sequence[str] = (), login: str = "",
        tls: Certificate | None = None,
    ) -> None:  # fmt: skip
        self.options = options
        self.login = login
        super().__init__(network, name, tls=tls)

    def prepare(self) -> None:
        database = self.folder / "sasldb2"
        if self.login == "sasl":
            run(["saslpasswd2", "-p", "-c", "-a", "memcached", "-u", "lab", "-f", str(database), "app"], text=PASSWORD)
            (self.folder / "memcached.conf").write_text(
                f"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\n"
            )
        (self.folder / "accounts").write_text(f"app:{PASSWORD}\n")
        for path in self.folder.iterdir():
            shutil.chown(path, self.user)

    def arguments(self) -> Sequence[str]:
        login = {"": [], "sasl": ["-S"], "file": ["-Y", str(self.folder / "accounts")]}[self.login]
        files = f"ssl_chain_cert={self.tls.certificate},ssl_key={self.tls.key}" if self.tls else ""
        tls = ["-Z", "-o", files] if self.tls else []
        memcached = ["memcached", "-l", self.v4, "-p", str(self.port), "-U", "0", *login, *tls, *self.options]
        return ["env", f"SASL_CONF_PATH={self.folder}", *memcached]

    def start(self) -> None:
        super().start()
        if not self.login and not self.tls:
            with self.network.inside("server"), socket.create_connection((self.v4, self.port)) as client:
                client.sendall(b"set orders 0 0 5\r\nfirst\r\n")
                client.recv(64)


class ClickHouse(Store):
    """ClickHouse 18.16, over HTTP (8123, 8443) and natively (9000, 9440): database `shop` with the table `orders`.

    `app` may use `shop` and `empty` only; `elsewhere` may log in from a network that nobody here is in.
    """

    needs = ("clickhouse-server",)

    port = 8123
    user = "clickhouse"

    def prepare(self) -> None:
        data, digest = self.folder / "data", hashlib.sha256(PASSWORD.encode()).hexdigest()
        tls = f"""
  <https_port>8443</https_port><tcp_port_secure>9440</tcp_port_secure>
  <openSSL><server><certificateFile>{self.tls.certificate}</certificateFile>
    <privateKeyFile>{self.tls.key}</privateKeyFile><verificationMode>none</verificationMode></server></openSSL>
""" if self.tls else ""  # fmt: skip
        (self.folder / "config.xml").write_text(
            f"""<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <http_port>8123</http_port><tcp_port>9000</tcp_port><listen_host>{self.v4}</listen_host>{tls}
  <path>{data}/</path><tmp_path>{data}/tmp/</tmp_path><user_files_path>{data}/files/</user_files_path>
  <format_schema_path>{data}/formats/</format_schema_path><users_config>{self.folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>5368709</mark_cache_size><max_concurrent_queries>20</max_concurrent_queries>
</yandex>
"""
        )
        allowed = "<allow_databases><database>shop</database><database>empty</database></allow_databases>"

        def account(name: str, network: str, more: str = "", password: str = digest) -> str:
            return (
                f"<{name}><password_sha256_hex>{password}</password_sha256_hex><networks><ip>{network}</ip></networks>"
                f"<profile>default</profile><quota>default</quota>{more}</{name}>"
            )

        (self.folder / "users.xml").write_text(
            "<yandex><profiles><default/></profiles><quotas><default/></quotas><users>"
            + account("app", "::/0", allowed) + account("elsewhere", "192.0.2.1") + account("admin", "::/0")
            + "</users></yandex>\n"
        )  # fmt: skip

    def arguments(self) -> Sequence[str]:
        return ["clickhouse-server", f"--config-file={self.folder / 'config.xml'}"]

    def start(self) -> None:
        super().start()
        for statement in (
            "CREATE DATABASE shop", "CREATE DATABASE empty", "CREATE DATABASE private",
            "CREATE TABLE private.ledger (id UInt8) ENGINE = TinyLog",
            "CREATE TABLE shop.orders (id UInt8, note String) ENGINE = TinyLog",
            "INSERT INTO shop.orders VALUES (1, 'first')",
        ):  # fmt: skip
            with self.network.inside("server"):
                account = {"X-ClickHouse-User": "admin", "X-ClickHouse-Key": PASSWORD}
                asked = urllib.request.Request(f"http://{self.v4}:8123/", data=statement.encode(), headers=account)
                urllib.request.urlopen(asked).close()


class ZooKeeper(Store):
    """ZooKeeper 3.8, with znodes of one's own: path -> data.

    Args:
        peers: Other members of its ensemble, as many addresses; none of them has to be there.
    """

    needs = ("java", "/usr/share/java/zookeeper.jar")

    port = 2181

    def __init__(
        self, network: Network, name: str, *, znodes: Mapping[str, bytes] | None = None, peers: Sequence[str] = ()
    ) -> None:
        self.znodes = dict(znodes or {})
        self.peers = peers
        super().__init__(network, name)

    def prepare(self) -> None:
        lines = [
            f"dataDir={self.folder}", f"clientPort={self.port}", f"clientPortAddress={self.v4}", "tickTime=2000",
            "admin.enableServer=false", "initLimit=5", "syncLimit=2", "forceSync=no",
        ]  # fmt: skip
        members = [self.v4, *self.peers] if self.peers else []
        lines += [f"server.{number}={host}:2888:3888" for number, host in enumerate(members, 1)]
        (self.folder / "zoo.cfg").write_text("\n".join(lines) + "\n")
        (self.folder / "myid").write_text("1\n")

    def arguments(self) -> Sequence[str]:
        classes = "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar"
        options = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.root.logger=ERROR,CONSOLE"]
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return ["java", "-cp", classes, *options, main, str(self.folder / "zoo.cfg")]

    def ready(self) -> bool:
        if self.peers:
            return super().ready()
        asked = (self.v4, self.port)
        with contextlib.suppress(OSError), self.network.inside("server"), socket.create_connection(asked, 1) as client:
            client.sendall(b"srvr")
            return b"Mode: standalone" in client.recv(4096, socket.MSG_WAITALL)
        return False

    def start(self) -> None:
        super().start()
        if self.peers:
            return
        with self.network.inside("server"), socket.create_connection((self.v4, self.port), timeout=10) as client:
            self._ask(client, struct.pack("!iqiq", 0, 0, 10000, 0) + _sized(bytes(16)) + b"\0")
            everybody = struct.pack("!ii", 1, 31) + _sized(b"world") + _sized(b"anyone")
            for number, (path, data) in enumerate(self.znodes.items(), 1):
                request = struct.pack("!ii", number, 1) + _sized(path.encode()) + _sized(data) + everybody + bytes(4)
                (error,) = struct.unpack_from("!i", self._ask(client, request), 12)
                assert error == 0, f"{path}: {error}"

    @staticmethod
    def _ask(client: socket.socket, request: bytes) -> bytes:
        client.sendall(_sized(request))
        (size,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
        return client.recv(size, socket.MSG_WAITALL)


def _sized(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


class S3(Store):
    """moto's server, which checks signatures and policies: bucket `orders` with `daily/1.csv` and `monthly/1.csv`.

    `app` may list the bucket and read `daily/`; `reader` may read `daily/` and list nothing.
    """

    port = 80

    def __init__(self, network: Network, name: str, *, tls: Certificate | None = None) -> None:
        if tls:
            self.port = 443  # type: ignore[misc]
        #: Account -> id and secret of its access key.
        self.keys: dict[str, tuple[str, str]] = {}
        super().__init__(network, name, tls=tls)

    def arguments(self) -> Sequence[str]:
        tls = [str(self.tls.certificate), str(self.tls.key)] if self.tls else []
        program = str(Path(__file__).with_name("object_store.py"))
        # A host's first label is no bucket.
        return ["env", "S3_IGNORE_SUBDOMAIN_BUCKETNAME=true", sys.executable, program, self.v4, str(self.port), *tls]

    def start(self) -> None:
        super().start()
        with self.network.inside("server"):
            store, accounts = self._client("s3"), self._client("iam")
            for bucket in ("orders", "empty", "closed"):
                store.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            for key in ("daily/1.csv", "monthly/1.csv"):
                store.put_object(Bucket="orders", Key=key, Body=b"id\n1\n")
            listing = _allow("s3:ListBucket", "arn:aws:s3:::o*", "arn:aws:s3:::empty")
            reading = _allow("s3:GetObject", "arn:aws:s3:::orders/daily/*")
            for user, statements in {"app": [listing, reading], "reader": [reading]}.items():
                accounts.create_user(UserName=user)
                policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
                accounts.put_user_policy(UserName=user, PolicyName="orders", PolicyDocument=policy)
                key = accounts.create_access_key(UserName=user)["AccessKey"]
                self.keys[user] = (key["AccessKeyId"], key["SecretAccessKey"])
            # From now on every request is checked.
            context = ssl._create_unverified_context() if self.tls else None
            plain = {"content-type": "text/plain"}
            request = urllib.request.Request(f"{self.url()}/moto-api/reset-auth", data=b"0", headers=plain)
            urllib.request.urlopen(request, context=context).close()

    def _client(self, service: str) -> Any:
        import boto3

        return boto3.client(
            service, endpoint_url=self.url(), region_name="eu-west-1", verify=False,
            aws_access_key_id="setup", aws_secret_access_key="setup",
        )  # fmt: skip

    def url(self, host: str = "") -> str:
        """The endpoint, by name or by number."""
        return f"{'https' if self.tls else 'http'}://{host or self.v4}"


def _allow(action: str, *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": list(resources)}
