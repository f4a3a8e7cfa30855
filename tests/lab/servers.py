"""Real servers from Debian's packages, in the foreground, each with an address of its own and the standard port.

Every server has one account `app` with `PASSWORD` and something called `orders` to read; scenarios add the rest with
`sql`, `command` or configuration of their own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.lab.certificates import Certificate
from tests.lab.network import Network, program, run
from tests.lab.topology import Host

#: The password of `app` everywhere. No verdict may ever contain it.
PASSWORD = "canary-5ecret-of-app"
#: One that is nobody's; it may not show either.
WRONG_PASSWORD = "canary-wr0ng-passw0rd"
_POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
_START_SECONDS = 30.0


class Server:
    """A process in the servers' network.

    Attributes:
        host: Its addresses. `v4` is the usual one.
        port: Where it listens.
        folder: Its files; `log` among them.
    """

    port: ClassVar[int]
    user: ClassVar[str | None] = None

    def __init__(self, network: Network, name: str, *, tls: Certificate | None = None) -> None:
        self.network = network
        self.name = name
        self.host: Host = network.host()
        self.folder = network.directory / name
        self.folder.mkdir(mode=0o755)
        self.log = self.folder / "log"
        if self.user:
            shutil.chown(self.folder, self.user)
        self.tls = tls.copy_for(self.user or "root", self.folder) if tls else None
        self._process: subprocess.Popen[bytes] | None = None
        self.prepare()

    @property
    def v4(self) -> str:
        """The usual address."""
        return self.host.v4

    def prepare(self) -> None:
        """Write what the server reads; called once, before the first start."""

    def arguments(self) -> Sequence[str]:
        """The command line."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers; by default whether it accepts connections."""
        with self.network.inside("server"), contextlib.suppress(OSError):
            socket.create_connection((self.v4, self.port), timeout=1).close()
            return True
        return False

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = self.network.command("server", self.arguments(), user=self.user)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        ends = time.monotonic() + _START_SECONDS
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > ends:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def listen(self) -> list[str]:
        """Every address it listens on."""
        return [self.host.v4, self.host.v6, self.host.public, self.host.public_v6]


class PostgreSQL(Server):
    """PostgreSQL 15: role `app`, database `shop` with the tables `orders` and `order_lines`.

    Args:
        settings: Parameters of postgresql.conf.
        hba: The lines of pg_hba.conf for network clients; everybody by SCRAM by default.
        language: ``de_DE``, ``zh_CN`` or ``ja_JP``: what its messages are in.
        standby: ``hot`` accepts read-only sessions, ``cold`` none (it is recovering).
    """

    port = 5432
    user = "postgres"

    def __init__(
        self, network: Network, name: str, *, settings: Mapping[str, Any] | None = None,
        hba: Sequence[str] = ("host all all all scram-sha-256",), language: str = "", standby: str = "",
        tls: Certificate | None = None,
    ) -> None:  # fmt: skip
        self.settings = dict(settings or {})
        self.hba = hba
        self.language = language
        self.standby = standby
        super().__init__(network, name, tls=tls)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        run(["cp", "-a", str(_postgresql_template(self.network)), str(self.data)])
        lines = ["local all all trust", *self.hba]
        (self.data / "pg_hba.conf").write_text("\n".join(lines) + "\n")
        settings = {
            "listen_addresses": ",".join(self.listen()),
            "unix_socket_directories": str(self.folder),
            "lc_messages": f"{self.language}.UTF-8" if self.language else "C",
            "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
            "shared_buffers": "16MB", "max_connections": 30, "jit": "off", "max_wal_senders": 0, "wal_level": "minimal",
            "logging_collector": "off", "autovacuum": "off",
        }  # fmt: skip
        if self.tls:
            settings |= {
                "ssl": "on", "ssl_cert_file": str(self.tls.certificate), "ssl_key_file": str(self.tls.key),
                "ssl_ca_file": str(self.tls.authority),
            }  # fmt: skip
        if self.standby:
            # A standby must allow for as much as the server that wrote its data did.
            settings |= {
                "hot_standby": "on" if self.standby == "hot" else "off",
                "wal_level": "replica", "max_connections": 100, "max_wal_senders": 10,
            }  # fmt: skip
            (self.data / "standby.signal").touch()
            shutil.chown(self.data / "standby.signal", self.user)
        settings |= self.settings
        text = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        (self.data / "postgresql.conf").write_text(text)

    def arguments(self) -> Sequence[str]:
        return [str(_POSTGRESQL / "postgres"), "-D", str(self.data)]

    def ready(self) -> bool:
        if self.standby == "cold":
            return super().ready()
        asked = subprocess.run(
            [program("psql"), *self._psql("postgres"), "-c", "SELECT 1"], capture_output=True, check=False
        )
        return asked.returncode == 0

    def sql(self, *statements: str, database: str = "shop") -> str:
        """Run statements as the superuser, each in a transaction of its own; gives what they return, unaligned."""
        commands = [part for statement in statements for part in ("-c", statement)]
        return run(["psql", *self._psql(database), *commands]).strip()

    @contextlib.contextmanager
    def sessions(self, count: int, *, user: str = "postgres", database: str = "shop") -> Iterator[None]:
        """Hold so many sessions open for as long as the block lasts."""
        import psycopg

        held = [psycopg.connect(host=str(self.folder), user=user, dbname=database) for _ in range(count)]
        try:
            yield
        finally:
            for session in held:
                session.close()

    def _psql(self, database: str) -> list[str]:
        return ["-h", str(self.folder), "-U", "postgres", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]


_SHOP = f"""
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE DATABASE shop;
\\connect shop
CREATE TABLE orders (id int PRIMARY KEY, note text);
CREATE TABLE order_lines (id int PRIMARY KEY, order_id int);
INSERT INTO orders VALUES (1, 'first');
GRANT SELECT ON orders, order_lines TO app;
"""


def _postgresql_template(network: Network) -> Path:
    """A data directory to copy, made once for a lab: initdb and the shop."""
    template = network.directory / "postgresql-template"
    if template.exists():
        return template
    making = network.directory / "postgresql-making"
    making.mkdir()
    shutil.chown(making, PostgreSQL.user)
    command = network.command(
        "server",
        [str(_POSTGRESQL / "initdb"), "-D", str(making / "data"), "-U", "postgres", "-A", "trust", "--locale=C.UTF-8",
         "--encoding=UTF8", "--no-sync", "--no-instructions", "--wal-segsize=1"],
        user=PostgreSQL.user,
    )  # fmt: skip
    run(command)
    options = f"-c listen_addresses='' -c fsync=off -c unix_socket_directories={making}"
    control = [str(_POSTGRESQL / "pg_ctl"), "-D", str(making / "data"), "-w", "-s", "-l", str(making / "log")]
    run(network.command("server", [*control, "-o", options, "start"], user=PostgreSQL.user))
    run(["psql", "-h", str(making), "-U", "postgres", "-qX", "-v", "ON_ERROR_STOP=1"], text=_SHOP)
    run(network.command("server", [*control, "-m", "fast", "stop"], user=PostgreSQL.user))
    (making / "data").rename(template)
    return template


class MariaDB(Server):
    """MariaDB 10.11: account `app`, database `shop` with the tables `orders` and `order_lines`.

    Args:
        options: Options of mariadbd without the dashes, e.g. ``{"max-connections": 2}``.
        language: ``de_DE``, ``ja_JP`` or ``zh_CN``: what its messages are in.
    """

    port = 3306
    user = "mysql"

    def __init__(
        self, network: Network, name: str, *, options: Mapping[str, Any] | None = None, language: str = "",
        tls: Certificate | None = None,
    ) -> None:  # fmt: skip
        self.options = dict(options or {})
        self.language = language
        super().__init__(network, name, tls=tls)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def prepare(self) -> None:
        run(["cp", "-a", str(_mariadb_template(self.network)), str(self.folder / "data")])

    def arguments(self) -> Sequence[str]:
        options: dict[str, Any] = {
            "bind-address": ",".join(self.listen()),
            "skip-name-resolve": "ON",
            "lc-messages": self.language or "en_US",
        }
        if self.tls:
            options |= {"ssl-cert": self.tls.certificate, "ssl-key": self.tls.key, "ssl-ca": self.tls.authority}
        options |= self.options
        return _mariadbd(self.folder, self.folder / "data", options)

    def ready(self) -> bool:
        return _mariadb_alive(self.socket) and super().ready()

    def sql(self, *statements: str, database: str = "shop") -> str:
        """Run statements as root; gives what they return, tab-separated."""
        return _mariadb(self.socket, ";\n".join(statements), database)


_MARIADB_SHOP = f"""
CREATE DATABASE shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, note text);
CREATE TABLE shop.order_lines (id int PRIMARY KEY, order_id int);
INSERT INTO shop.orders VALUES (1, 'first');
CREATE USER app@'%' IDENTIFIED BY '{PASSWORD}';
GRANT SELECT ON shop.* TO app@'%';
"""


def _mariadbd(folder: Path, data: Path, options: Mapping[str, Any]) -> list[str]:
    fixed = {
        # One that starts takes away what others keep in the same folder of temporary tables.
        "tmpdir": folder,
        "datadir": data, "socket": folder / "socket", "pid-file": folder / "pid", "port": MariaDB.port,
        "innodb-buffer-pool-size": "16M", "innodb-flush-log-at-trx-commit": 0, "innodb-flush-method": "nosync",
        "performance-schema": "OFF", "key-buffer-size": "1M", "aria-pagecache-buffer-size": "2M",
    }  # fmt: skip
    return ["mariadbd", "--no-defaults", *(f"--{name}={value}" for name, value in {**fixed, **options}.items())]


def _mariadb(socket_path: Path, script: str, database: str = "mysql") -> str:
    client = ["mariadb", "--no-defaults", "--skip-ssl", "-u", "root", "-S", str(socket_path), "-N", "-B", database]
    return run(client, text=script).strip()


def _mariadb_alive(socket_path: Path) -> bool:
    with contextlib.suppress(RuntimeError):
        _mariadb(socket_path, "SELECT 1")
        return True
    return False


def _mariadb_template(network: Network) -> Path:
    template = network.directory / "mariadb-template"
    if template.exists():
        return template
    making = network.directory / "mariadb-making"
    making.mkdir()
    shutil.chown(making, MariaDB.user)
    install = [
        "mariadb-install-db", "--no-defaults", f"--datadir={making / 'data'}", f"--tmpdir={making}", "--skip-test-db",
        "--auth-root-authentication-method=normal", "--innodb-flush-method=nosync", "--innodb-log-file-size=8M",
    ]  # fmt: skip
    run(network.command("server", install, user=MariaDB.user))
    command = _mariadbd(making, making / "data", {"skip-networking": "ON"})
    with (making / "log").open("wb") as log:
        process = subprocess.Popen(network.command("server", command, user=MariaDB.user), stdout=log, stderr=log)
    ends = time.monotonic() + _START_SECONDS
    while not _mariadb_alive(making / "socket"):
        if time.monotonic() > ends:
            raise RuntimeError(f"mariadbd did not start:\n{(making / 'log').read_text()[-3000:]}")
        time.sleep(0.05)
    _mariadb(making / "socket", _MARIADB_SHOP + "SHUTDOWN;")
    process.wait(_START_SECONDS)
    (making / "data").rename(template)
    return template


_REDIS_USERS = (
    f"default on >{PASSWORD} ~* &* +@all",
    f"app on >{PASSWORD} ~orders:* &* +@read +@connection +select",
)


class Redis(Server):
    """Redis 7: user `app` may read keys `orders:*`; `default` has the same password.

    Args:
        options: Lines of redis.conf by name; a list gives several lines.
        users: ACL rules; `app` and a `default` with the password unless given.
    """

    port = 6379
    user = "redis"

    def __init__(
        self, network: Network, name: str, *, options: Mapping[str, Any] | None = None,
        users: Sequence[str] = _REDIS_USERS,
        tls: Certificate | None = None,
    ) -> None:  # fmt: skip
        self.options = dict(options or {})
        self.users = users
        super().__init__(network, name, tls=tls)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def prepare(self) -> None:
        options: dict[str, Any] = {
            "bind": " ".join(self.listen()), "port": 0 if self.tls else self.port, "unixsocket": self.socket,
            "dir": self.folder, "save": '""', "protected-mode": "no", "user": list(self.users),
        }  # fmt: skip
        if self.tls:
            options |= {
                "tls-port": self.port, "tls-cert-file": self.tls.certificate, "tls-key-file": self.tls.key,
                "tls-ca-cert-file": self.tls.authority, "tls-auth-clients": "no",
            }  # fmt: skip
        options |= self.options
        lines = []
        for name, value in options.items():
            lines += [f"{name} {item}" for item in (value if isinstance(value, list) else [value])]
        (self.folder / "redis.conf").write_text("\n".join(lines) + "\n")

    def arguments(self) -> Sequence[str]:
        return ["redis-server", str(self.folder / "redis.conf")]

    def start(self) -> None:
        super().start()
        with contextlib.suppress(RuntimeError):
            self.command("SET", "orders:1", "first")

    def command(self, *words: str, user: str = "default", password: str = PASSWORD) -> str:
        """Run a command as a user; gives the answer as redis-cli prints it."""
        login = ["--user", user, "--pass", password, "--no-auth-warning"] if self.users else []
        answer = run(["redis-cli", "-s", str(self.socket), *login, *words]).strip()
        if answer.startswith(("ERR", "NOAUTH", "WRONGPASS", "NOPERM", "LOADING")):
            raise RuntimeError(answer)
        return answer


class Sftp(Server):
    """OpenSSH with the internal SFTP server: `app` by password or by `client_key`, in a chroot with `orders/`.

    Args:
        lines: Lines of sshd_config; they stand first and so win.
    """

    port = 22

    def __init__(self, network: Network, name: str, *, lines: Sequence[str] = ()) -> None:
        self.lines = lines
        super().__init__(network, name)

    def prepare(self) -> None:
        for key in ("host_key", "client_key"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / key)])
        shutil.copy(self.folder / "client_key.pub", self.folder / "authorized_keys")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config = [
            *self.lines,
            *(f"ListenAddress {address}" for address in (self.host.v4, self.host.v6, self.host.public)),
            f"Port {self.port}", f"HostKey {self.folder / 'host_key'}", f"PidFile {self.folder / 'pid'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}", "StrictModes no", "UsePAM yes", "UseDNS no",
            "PasswordAuthentication yes", "KbdInteractiveAuthentication no", "PermitRootLogin no", "PrintMotd no",
            "MaxAuthTries 10", "PerSourceMaxStartups none", "LogLevel VERBOSE",
            "Subsystem sftp internal-sftp", "Match User *", "ChrootDirectory %h", "ForceCommand internal-sftp",
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(config) + "\n")

    @property
    def host_key(self) -> str:
        """The server's public key as in known_hosts, without the name."""
        return (self.folder / "host_key.pub").read_text().strip()

    @property
    def client_key(self) -> Path:
        """The private key that lets `app` in."""
        return self.folder / "client_key"

    def arguments(self) -> Sequence[str]:
        return ["sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")]


class Ftp(Server):
    """vsftpd: `app` by password, in a chroot with `orders/`.

    Args:
        options: Options of vsftpd.conf.
    """

    port = 21

    def __init__(
        self, network: Network, name: str, *, options: Mapping[str, Any] | None = None, tls: Certificate | None = None
    ) -> None:
        self.options = dict(options or {})
        super().__init__(network, name, tls=tls)

    def prepare(self) -> None:
        Path("/run/vsftpd/empty").mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {
            "listen": "YES", "listen_address": self.v4, "listen_port": self.port, "background": "NO",
            "anonymous_enable": "NO", "local_enable": "YES", "write_enable": "NO", "chroot_local_user": "YES",
            "pam_service_name": "vsftpd", "secure_chroot_dir": "/run/vsftpd/empty", "seccomp_sandbox": "NO",
            "pasv_min_port": 40000, "pasv_max_port": 40099, "xferlog_enable": "NO", "delay_failed_login": 0,
            "connect_from_port_20": "NO", "use_localtime": "YES",
        }  # fmt: skip
        if self.tls:
            options |= {
                "ssl_enable": "YES", "rsa_cert_file": self.tls.certificate, "rsa_private_key_file": self.tls.key,
                "force_local_logins_ssl": "YES", "force_local_data_ssl": "YES", "require_ssl_reuse": "NO",
                "ssl_tlsv1": "YES", "ssl_ciphers": "HIGH",
            }  # fmt: skip
        options |= self.options
        (self.folder / "vsftpd.conf").write_text("".join(f"{name}={value}\n" for name, value in options.items()))

    def arguments(self) -> Sequence[str]:
        return ["vsftpd", str(self.folder / "vsftpd.conf")]

    def ready(self) -> bool:
        # Until it has said goodbye a session counts as one of `max_clients`.
        with self.network.inside("server"), contextlib.suppress(OSError):
            with socket.create_connection((self.v4, self.port), timeout=1) as session:
                session.sendall(b"QUIT\r\n")
                while session.recv(256):
                    pass
            time.sleep(0.05)
            return True
        return False


class Http(Server):
    """nginx: `/orders` answers with JSON; `/private/` wants `app` and the password (basic authentication).

    Args:
        config: More of the `server` block: locations, redirects, limits.
        tls_options: Lines such as ``ssl_protocols TLSv1.1;``.
    """

    port = 80

    def __init__(
        self, network: Network, name: str, *, config: str = "", tls_options: str = "", tls: Certificate | None = None
    ) -> None:
        self.config = config
        self.tls_options = tls_options
        if tls:
            self.port = 443  # type: ignore[misc]
        super().__init__(network, name, tls=tls)

    def prepare(self) -> None:
        (self.folder / "htpasswd").write_text(f"app:{hashed(PASSWORD)}\n")
        suffix = " ssl" if self.tls else ""
        listens = [f"{self.host.v4}:{self.port}", f"[{self.host.v6}]:{self.port}", f"{self.host.public}:{self.port}"]
        tls = f"ssl_certificate {self.tls.certificate}; ssl_certificate_key {self.tls.key};" if self.tls else ""
        (self.folder / "nginx.conf").write_text(
            f"""
user www-data; worker_processes 1; pid {self.folder}/pid; daemon off; error_log stderr info;
events {{ worker_connections 64; }}
http {{
  access_log {self.folder}/access.log; client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi; uwsgi_temp_path {self.folder}/uwsgi; scgi_temp_path {self.folder}/scgi;
  server {{
    {" ".join(f"listen {address}{suffix};" for address in listens)}
    {tls} {self.tls_options}
    default_type application/json;
    location = / {{ return 200 '{{"name": "shop"}}'; }}
    location = /orders {{ return 200 '[{{"id": 1}}]'; }}
    location /private/ {{ auth_basic "shop"; auth_basic_user_file {self.folder}/htpasswd; try_files /none @private; }}
    location @private {{ return 200 '[]'; }}
    {self.config}
  }}
}}
"""
        )

    def arguments(self) -> Sequence[str]:
        return ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]

    def url(self, path: str = "/", host: str = "") -> str:
        """The address of a path, by name or by number."""
        return f"{'https' if self.tls else 'http'}://{host or self.v4}{path}"


def hashed(password: str) -> str:
    """The password as /etc/shadow and htpasswd hold it."""
    return run(["openssl", "passwd", "-6", password]).strip()


#: System accounts that exist in the servers' network only: name -> fields of /etc/shadow after the name.
_NEVER = "19000:0:99999:7:::"
_ACCOUNTS = {
    "app": (61001, f"{{hash}}:{_NEVER}"),
    "locked": (61002, f"!{{hash}}:{_NEVER}"),
    "expired": (61003, "{hash}:19000:0:99999:7::19001:"),
    "denied": (61004, f"{{hash}}:{_NEVER}"),
    "empty": (61005, f"{{hash}}:{_NEVER}"),
}


def make_accounts(network: Network) -> None:
    """Give the servers' network its own users: over /etc/passwd there, nowhere else."""
    etc = network.etc("server")
    password = hashed(PASSWORD)
    passwd, shadow, group = (Path("/etc", name).read_text() for name in ("passwd", "shadow", "group"))
    for name, (uid, fields) in _ACCOUNTS.items():
        home = network.directory / "home" / name
        home.mkdir(parents=True)
        passwd += f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n"
        shadow += f"{name}:{fields.format(hash=password)}\n"
        group += f"{name}:x:{uid}:\n"
        if name != "empty":
            (home / "orders").mkdir()
            (home / "orders" / "1.json").write_text("{}\n")
            (home / "closed").mkdir(mode=0o700)
    # A refused password is said at once, not after two seconds.
    shutil.copytree("/etc/pam.d", etc / "pam.d")
    common = etc / "pam.d" / "common-auth"
    common.write_text(common.read_text().replace("pam_unix.so", "pam_unix.so nodelay"))
    for name, text, mode in (("passwd", passwd, 0o644), ("group", group, 0o644), ("shadow", shadow, 0o600)):
        (etc / name).write_text(text)
        (etc / name).chmod(mode)
