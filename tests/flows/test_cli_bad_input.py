"""What bad input gets: what is wrong, where, and what to type next; never a traceback, never anything half done."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.embedded_postgresql import EmbeddedPostgresql, free_port
from tests.flows.cli_support import HEADWATER, CommandLine, Screen, source, workspace
from tests.stopwatch import Stopwatch

SECRET = "canary-bad-4d1e"
MANY = 10_000
#: As many as it takes to be in the middle of them.
ENOUGH = 3_000


def test_every_fault_of_a_file_is_told_at_its_place_and_nothing_is_applied(cli: CommandLine) -> None:
    cli.write(
        "faulty.yaml",
        workspace(
            source("good"),
            source("one").replace("postgresql", "postgersql"),
            source("two", "yes"),
            source("two"),
            source("three", more=", databse: x"),
            source("four", password=SECRET),
            "      - {name: five, type: postgresql, tag: [x], prod: {}}",
            source("six").replace("database: postgres, ", ""),
            f'      - {{name: seven, type: postgresql, prod: {{jdbc_url: "jdbc:postgresql://u:{SECRET}@[h:99999/d"}}}}',
        ),
    )
    done = cli("apply", "-f", "faulty.yaml")
    done.refused(
        "faulty.yaml:9:21: workspaces[0].data_sources[1].type: unknown data source type 'postgersql'",
        "did you mean postgresql",
        "faulty.yaml:10:74: retail/two/prod.address[0].port: 'yes': a whole number is needed",
        "the data source retail/two stands twice; first at faulty.yaml:10:10",
        "retail/three/prod.databse: unknown field\n  did you mean database?",
        "retail/four/prod.password: a literal secret is not accepted here",
        "faulty.yaml:14:40: workspaces[0].data_sources[6].tag: unknown field\n  did you mean tags?",
        "retail/six/prod.database",
        "retail/seven/prod.jdbc_url",
    )
    assert SECRET not in done.err
    assert cli("list", "-o", "json").json["total"] == 0


def test_what_no_group_and_no_realm_can_have_is_told_at_its_place(cli: CommandLine) -> None:
    hop = "host: hop, username: probe, password: env:HOP"
    cli.write(
        "faulty.yaml",
        "version: 1\n"
        "resource_groups:\n"
        "  - {name: bad name!, kind: local}\n"
        f"  - {{name: vpc, kind: ssh, ssh: {{{hop}, host_key: garbage, jump: {{{hop}, host_key: ssh-rsa AAAA}}}}}}\n"
        "workspaces:\n"
        "  - name: retail\n"
        "    data_sources:\n"
        "      - name: lake\n"
        "        type: hdfs\n"
        "        prod: {default_fs: hdfs://nn:8020, kerberos_file_conf: file:/k, kerberos_file_keytab: file:/t,\n"
        "               principal: '@@@'}\n",
    )
    cli("apply", "-f", "faulty.yaml").refused(
        "faulty.yaml:3:6: resource_groups[0].name: 'bad name!' is no name of a resource group: ' ' is not allowed",
        "faulty.yaml:4:81: resource_groups[1].ssh.host_key: a host key is an algorithm and its key",
        "ssh-keyscan hop",
        "resource_groups[1].ssh.jump.host_key: the key is none of ssh-rsa",
        "faulty.yaml:11:16: retail/lake/prod.principal: no Kerberos principal: write app@EXAMPLE.COM",
    )


@pytest.mark.parametrize("command", [("keygen",), ("trust", "hw-registry-x")])
def test_no_key_is_made_or_trusted_for_what_no_group_can_be_called(cli: CommandLine, command: tuple[str, ...]) -> None:
    verb, *more = command
    cli("group", verb, "bad name!", *more).refused("'bad name!' is no name of a resource group", "for example: vpc_a")
    assert not [*cli.home.glob("*key*")]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "syntax.yaml",
            "version: 1\nworkspaces:\n  - name: retail\n    data_sources: [}\n",
            "syntax.yaml:4:20: no valid",
        ),
        ("tab.yaml", "version: 1\nworkspaces:\n\t- name: x\n", "tab.yaml:3:1: no valid YAML"),
        ("syntax.json", '{"version": 1,\n "workspaces": [,]}', "syntax.json:2:17: no valid JSON"),
        ("empty.yaml", "", "empty.yaml:1:1: no mapping"),
        ("list.yaml", "- 1\n", "begin with: version: 1"),
        ("newer.yaml", "version: 2\n", "upgrade Headwater"),
        ("binary.yaml", b"version: 1\n# \xff\xfe\x00\x80", "binary.yaml:2:3: no text in UTF-8"),
        ("missing/file.yaml", None, "missing/file.yaml: cannot be read: No such file or directory"),
        ("folder", None, "folder: the folder holds no .yaml, .yml, .json file"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place(
    cli: CommandLine, name: str, content: str | bytes | None, told: str
) -> None:
    if name == "folder":
        (cli.folder / name).mkdir()
    if content is not None:
        cli.write(name, content)
    cli("apply", "-f", name).refused(told)


def test_standard_input_may_be_empty_faulty_or_hold_a_literal_secret(
    cli: CommandLine, postgresql: EmbeddedPostgresql
) -> None:
    cli("apply", "-f", "-").refused("<stdin>:1:1: no mapping")
    cli("apply", "-f", "-", stdin="{").refused("<stdin>:1:2: no valid JSON")
    assert cli("apply", "-f", "-", stdin=workspace(source("kept", postgresql.port, password=SECRET))).status == 0
    assert SECRET not in cli("export").out
    assert SECRET.encode() not in (cli.home / "registry.db").read_bytes()
    (verdict,) = cli("test", "kept", "-o", "json").json
    assert verdict["cause"] == "AUTH.BAD_CREDENTIALS"


def test_thousands_of_faults_are_not_all_told(cli: CommandLine) -> None:
    cli.write("faulty.yaml", workspace(*(source(f"s{number}", "x") for number in range(300))))
    done = cli("apply", "-f", "faulty.yaml")
    done.refused("retail/s0/prod.address[0].port", "and 250 more like these")
    assert "retail/s299/" not in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tset",), "Did you mean 'test'"),
        (("test", "--tiemout", "3"), "--tiemout"),
        (("test", "--timeout", "soon"), "'--timeout'"),
        (("test", "--timeout", "0"), "0.1"),
        (("test", "--env", "stage"), "'dev', 'prod', 'all'"),
        (("test", "--output", "xml"), "'table', 'json', 'jsonl'"),
        (("test", "--username", "x"), "--username: needs --url"),
        (("test", "orders", "--url", "postgresql://h/d"), "SOURCE: leave out with --url"),
        (("test", "a/b", "-w", "c"), "SOURCE is of workspace a, --workspace says c"),
        (("apply",), "'--file'"),
        (("list", "--page-size", "1000"), "--page-size"),
        (("permit", "orders", "loggerFile"), "'--why'"),
    ],
)
def test_wrong_options_get_the_usage(cli: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    cli(*arguments).refused("Usage: headwater", told)


def test_an_unknown_name_gets_the_nearest_ones(retail: CommandLine) -> None:
    for arguments, told in (
        (("test", "ordres"), "did you mean retail/orders?"),
        (("test", "-w", "retial"), "no workspace 'retial'"),
        (("test", "-g", "loacl"), "no resource group 'loacl'"),
        (("show", "retail/ordres"), "did you mean retail/orders?"),
        (("list", "-t", "postgersql"), "did you mean postgresql"),
        (("causes", "PORT.CLOSD"), "did you mean PORT.CLOSED"),
        (("export", "-w", "retial"), "no workspace 'retial'"),
    ):
        retail(*arguments).refused(told)


def test_nothing_to_test_is_told(cli: CommandLine) -> None:
    cli("test").refused("there is nothing to test", "headwater apply -f FILE")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"foo://app:{SECRET}@127.0.0.1/x", "unknown URL scheme foo"),
        (f"postgresq://app:{SECRET}@127.0.0.1/x", "did you mean postgresql?"),
        ("127.0.0.1", "this is no URL"),
        ("", "this is no URL"),
    ],
)
def test_a_url_of_no_known_kind_is_wrong_usage(cli: CommandLine, url: str, told: str) -> None:
    done = cli("test", "--url", url)
    done.refused(told)
    assert SECRET not in done.err


@pytest.mark.parametrize(
    "rest", ["127.0.0.1:99999/x", "127.0.0.1:port/x", "[::1/x", "127.0.0.1:1,127.0.0.1:0/x", "ho st/x"]
)
def test_a_malformed_url_of_a_known_kind_is_a_verdict(cli: CommandLine, rest: str) -> None:
    done = cli("test", "--url", f"postgresql://app:{SECRET}@{rest}", "-o", "json")
    assert done.status == 1
    (verdict,) = done.json
    assert (verdict["state"], verdict["cause"]) in (
        ("ConfigError", "CONFIG.BAD_VALUE"),
        ("ConfigError", "CONFIG.MISSING_FIELD"),
    )
    assert verdict["message"]
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql://app:{SECRET}@127.0.0.1:1/x", ("postgresql+psycopg://app:***@127.0.0.1:1/x", "does not answer")),
        (f"postgresql://app:{SECRET}@no-such-host.invalid/x", ("does not answer",)),
        (f"oracle://app:{SECRET}@127.0.0.1/x", ("a registry can't live in 'oracle'",)),
        (f"postgresql://app:{SECRET}@127.0.0.1:port/x", ("not a database URL",)),
        (f"{SECRET}", ("not a database URL",)),
    ],
)
def test_a_registry_out_of_reach_is_told_without_its_password(
    cli: CommandLine, url: str, told: tuple[str, ...]
) -> None:
    done = cli("list", HEADWATER_DATABASE_URL=url)
    done.refused("HEADWATER_DATABASE_URL", *told)
    assert SECRET not in done.err


def test_a_registry_that_refuses_the_password_is_told_without_it(
    cli: CommandLine, postgresql: EmbeddedPostgresql
) -> None:
    done = cli("list", HEADWATER_DATABASE_URL=postgresql.url(password=SECRET))
    done.refused("password authentication failed")
    assert SECRET not in done.err


def test_a_registry_of_a_newer_version_is_left_alone(cli: CommandLine) -> None:
    with sqlite3.connect(cli.home / "registry.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    cli("list").refused("from a newer Headwater (schema 9999", "upgrade Headwater")
    cli.write("f.yaml", workspace(source("orders")))
    cli("apply", "-f", "f.yaml").refused("from a newer Headwater")
    with sqlite3.connect(cli.home / "registry.db") as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
        assert database.execute("SELECT count(*) FROM workspace").fetchall() == [(0,)]


def test_a_registry_that_is_no_database_is_told(cli: CommandLine) -> None:
    (cli.home / "registry.db").write_bytes(b"this is no database, it is a text" * 100)
    cli("list").refused("registry.db is no Headwater registry, or is damaged")


#: Root may write everywhere: without its capabilities it is a user like any other.
_BOUND = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


@pytest.mark.parametrize("command", [("list",), ("apply", "-f", "f.yaml")])
def test_a_home_that_is_read_only_is_told(cli: CommandLine, command: tuple[str, ...]) -> None:
    cli.write("f.yaml", workspace(source("orders")))
    (cli.home / "registry.db").chmod(0o444)
    cli.home.chmod(0o555)
    try:
        cli(*command, prefix=_BOUND).refused("registry.db cannot be written to", "set HEADWATER_HOME elsewhere")
    finally:
        cli.home.chmod(0o700)


def test_no_home_that_can_be_made_is_told(cli: CommandLine) -> None:
    cli("list", HEADWATER_HOME="/dev/null/home").refused("the home /dev/null/home cannot be made", "set HEADWATER_HOME")
    (cli.folder / "sealed").mkdir(mode=0o555)
    home = cli.folder / "sealed/home"
    cli("list", prefix=_BOUND, HEADWATER_HOME=str(home)).refused(f"the home {home} cannot be made: Permission denied")


@pytest.fixture
def stored(retail: CommandLine, postgresql: EmbeddedPostgresql) -> CommandLine:
    """`retail/orders` with its password kept in the registry."""
    assert retail("secret", "orders", "prod", stdin=postgresql.password + "\n").status == 0
    return retail


def _secret_verdict(cli: CommandLine) -> str:
    done = cli("test", "orders", "-o", "json")
    assert (done.status, done.err) == (1, "")
    (verdict,) = done.json
    assert (verdict["state"], verdict["cause"]) == ("ConfigError", "CONFIG.SECRET_UNRESOLVED")
    assert verdict["component"] == "retail/orders/prod.password"
    assert verdict["remedy"]
    return str(verdict["message"])


def test_a_keyring_that_is_gone_or_damaged_is_a_verdict(stored: CommandLine) -> None:
    keyring = stored.home / "keyring"
    content = keyring.read_text()
    keyring.unlink()
    assert f"the keyring {keyring} is gone" in _secret_verdict(stored)
    keyring.write_text(content[:40])
    assert "is damaged" in _secret_verdict(stored)
    stored("apply", "-f", "-", stdin=workspace(source("other", password="x"))).refused("the keyring", "is damaged")


def test_a_secret_that_was_tampered_with_is_a_verdict(stored: CommandLine) -> None:
    with sqlite3.connect(stored.home / "registry.db") as database:
        ((ciphertext,),) = database.execute("SELECT ciphertext FROM secret").fetchall()
        spoilt = ciphertext[:-20] + bytes([ciphertext[-20] ^ 1]) + ciphertext[-19:]
        database.execute("UPDATE secret SET ciphertext = ?", (spoilt,))
    assert "it was tampered with" in _secret_verdict(stored)


def test_a_stored_secret_does_not_follow_its_entry_behind_the_registry(stored: CommandLine) -> None:
    with sqlite3.connect(stored.home / "registry.db") as database:
        database.execute("UPDATE entry SET properties = replace(properties, '127.0.0.1', 'localhost')")
    assert "another entry, host, port" in _secret_verdict(stored)


def test_a_reference_that_resolves_to_nothing_is_a_verdict(retail: CommandLine) -> None:
    del retail.environment["ORDERS_PASSWORD"]
    assert _secret_verdict(retail) == "the environment variable ORDERS_PASSWORD is not set"


# --- many ------------------------------------------------------------------------------------------------------------


def write_many(cli: CommandLine, count: int) -> None:
    """`many.yaml`, with as many data sources."""
    cli.write("many.yaml", workspace(*(source(f"s{number:05}", 1) for number in range(count))))
    cli.environment["ORDERS_PASSWORD"] = "x"


def test_a_dry_run_of_many_writes_none(cli: CommandLine) -> None:
    write_many(cli, ENOUGH)
    dry = cli("apply", "-f", "many.yaml", "--dry-run")
    assert dry.out.splitlines()[-1].startswith(f"would be: {ENOUGH + 1} created")
    assert cli("list", "-o", "json").json["total"] == 0


def test_ten_thousand_sources_in_one_file(cli: CommandLine) -> None:
    write_many(cli, MANY)
    assert cli("apply", "-f", "many.yaml").status == 0
    assert f"{MANY + 2} unchanged" in cli("apply", "-f", "many.yaml").out
    with Stopwatch() as testing:
        (verdict,) = cli("test", "s04711", "-o", "json").json
    assert verdict["cause"] == "PORT.CLOSED"
    testing.within(10)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_apply_that_is_cut_short_leaves_nothing(cli: CommandLine, number: int, status: int) -> None:
    write_many(cli, ENOUGH)
    screen = Screen(cli, "apply", "-f", "many.yaml")
    screen.until("writing ")
    screen.interrupt(number)
    assert screen.end() == status
    assert "Traceback" not in screen.text
    assert ("headwater: interrupted" in screen.text) == (number == signal.SIGINT)
    assert cli("list", "-o", "json").json["total"] == 0
    assert cli("workspaces").out == ""
    assert cli("apply", "-f", "many.yaml").status == 0


def test_ctrl_c_ends_the_wait_for_another_writer(cli: CommandLine) -> None:
    cli.apply(workspace(source("first"), source("second")))
    other = sqlite3.connect(cli.home / "registry.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient, patient = cli.start("delete", "first", "-y"), cli.start("delete", "second", "-y")
    with pytest.raises(subprocess.TimeoutExpired):
        impatient.communicate(timeout=4)
    impatient.send_signal(signal.SIGINT)
    with Stopwatch() as ending:
        assert impatient.communicate(timeout=20) == ("", "headwater: interrupted\n")
    assert impatient.returncode == 130
    other.execute("COMMIT")
    other.close()
    assert patient.communicate(timeout=20) == ("deleted retail/second\n", "")
    assert [one["name"] for one in cli("list", "-o", "json").json["data_sources"]] == ["first"]
    ending.within(4)


# --- tests that are cut short ----------------------------------------------------------------------------------------


@pytest.fixture
def mute(retail: CommandLine, postgresql: EmbeddedPostgresql) -> Iterator[CommandLine]:
    """Besides what is well, a server that accepts and never speaks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        retail.apply(workspace(source("mute", listener.getsockname()[1])))
        yield retail


def test_ctrl_c_ends_a_test_at_once_and_keeps_what_is_known(mute: CommandLine) -> None:
    process = mute.start("test", "--timeout", "60", "-o", "jsonl")
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    with Stopwatch() as ending:
        rest, told = process.communicate(timeout=20)
    ending.within(5)
    assert (process.returncode, rest, told) == (130, "", "headwater: interrupted\n")
    assert {line.split('"source":"')[1].split('"')[0] for line in first} == {"orders", "closed"}
    assert [one["state"] for one in mute("show", "orders", "-o", "json").json["verdicts"]] == ["Connectable"]
    assert mute("show", "mute", "-o", "json").json["verdicts"] == []


def test_a_reader_that_has_gone_is_no_fault(retail: CommandLine) -> None:
    for arguments in (
        "list",
        "test",
        "test -o json",
        "test -o jsonl",
        "export",
        "types",
        "-h",
        "apply -f applied.yaml",
    ):
        reading, writing = os.pipe()
        os.close(reading)
        process = retail.start(*arguments.split(), stdout=writing)
        os.close(writing)
        _, told = process.communicate(timeout=60)
        assert (process.returncode, told) == (141, ""), arguments


def test_a_reader_that_goes_in_the_middle_ends_the_test(mute: CommandLine) -> None:
    line = f"set -o pipefail; {HEADWATER} test --timeout 90 -o jsonl | head -1"
    # The next line finds nobody who reads it; most checks would take their whole 90 s.
    done = subprocess.run(["bash", "-c", line], env=mute.environment, capture_output=True, text=True, timeout=80)
    assert len(done.stdout.splitlines()) == 1
    assert (done.returncode, done.stderr) == (141, "")


def test_a_port_nobody_listens_on_anywhere_is_no_traceback(cli: CommandLine) -> None:
    done = cli("test", "--url", f"postgresql://app@127.0.0.1:{free_port()}/x", "--password-stdin", stdin=SECRET)
    assert (done.status, done.err) == (1, "")
    assert "PORT.CLOSED" in done.out
    assert not [path for path in Path(cli.home).iterdir() if path.name == "keyring"]
