"""What the command line writes, where, and in which form: pipes, terminals, other locales, shells, no secrets."""

from __future__ import annotations

import json
import pkgutil
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from flows import commands
from flows.menu import HEADINGS, Menu
from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.cli_support import HEADWATER, CommandLine, Screen, source, workspace

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_json_alone_is_on_standard_output(retail: CommandLine) -> None:
    done = retail("test", "-o", "json")
    assert (done.status, done.err) == (1, "")
    assert [(one["source"], one["state"], one["cause"]) for one in done.json] == [
        ("closed", "Unreachable", "PORT.CLOSED"),
        ("orders", "Connectable", None),
    ]
    assert [stage["name"] for stage in done.json[0]["stages"]][:2] == ["config", "credentials"]
    lines = retail("test", "-o", "jsonl")
    assert (lines.status, lines.err) == (1, "")
    assert sorted(one["source"] for one in lines.lines) == ["closed", "orders"]
    assert all(set(one) == set(done.json[0]) for one in lines.lines)


def test_exit_status_tells_whether_all_is_well(retail: CommandLine) -> None:
    assert retail("test", "orders").status == 0
    assert retail("test", "closed").status == 1
    assert retail("test", "orders", "--env", "dev", "-o", "json").json[0]["cause"] == "CONFIG.ENV_MISSING"


def test_a_pipe_gets_plain_lines_of_verdict_cause_and_remedy(retail: CommandLine) -> None:
    done = retail("test", FORCE_COLOR="", COLUMNS="40")
    sick, summary = next(line for line in done.out.splitlines() if "closed" in line), done.out.splitlines()[-1]
    assert sick.startswith("retail/closed  prod  local  Unreachable  PORT.CLOSED  ")
    assert "Remedy: " in sick
    assert re.fullmatch(r"2 checked in \d+\.\d s: 1 Connectable, 1 Unreachable", summary)
    assert "\x1b" not in done.out + done.err
    assert len(done.out.splitlines()) == 3


def test_a_group_that_cannot_be_tested_from_keeps_no_other_from_it(retail: CommandLine) -> None:
    bastion = "{name: vpc_a, kind: ssh, ssh: {host: 10.77.1.2, username: probe, private_key: 'file:/keys/id'}}"
    text = workspace(source("closed", 1)).replace("kind: local}]", f"kind: local}}, {bastion}]")
    retail.apply(text.replace("resource_groups: [local]", "resource_groups: [local, vpc_a]"))
    found = retail("test", "closed", "-o", "json")
    causes = {verdict["resource_group"]: (verdict["state"], verdict["cause"]) for verdict in found.json}
    assert causes == {"local": ("Unreachable", "PORT.CLOSED"), "vpc_a": ("ConfigError", "CONFIG.SECRET_UNRESOLVED")}
    assert found.status == 1


def test_explain_prints_every_stage_with_time_and_evidence(retail: CommandLine) -> None:
    told = retail("test", "closed", "--explain").out
    assert re.search(
        r"\n  connect +FAILED +[\d.]+ ms  .*errno=ECONNREFUSED|\n  connect +FAILED +[\d.]+ ms  .*port=1", told
    )
    assert re.search(r"\n  login +- +0.0 ms  not reached: connect failed", told)
    for part in ("  cause      PORT.CLOSED", "  remedy     ", "(owner: "):
        assert part in told


def test_a_terminal_shows_sick_sources_while_others_are_still_checked(retail: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        retail.apply(workspace(source("mute", listener.getsockname()[1])))
        screen = Screen(retail, "test", "--timeout", "3")
        early = _CONTROL.sub("", screen.until("PORT.CLOSED"))
        assert "retail/closed  prod  local  PORT.CLOSED" in early
        assert "PEER.MUTE" not in early
        screen.until("2/3")
        assert screen.end() == 1
    told = _CONTROL.sub("", screen.text)
    assert "PEER.MUTE" in told
    assert "cause and remedy" in told
    assert told.rstrip().splitlines()[-1].startswith("3 checked in ")


def test_progress_is_on_standard_error_when_standard_output_is_a_file(retail: CommandLine) -> None:
    screen = Screen(retail, "test", "-o", "json", stdout=False)
    assert screen.process.stdout is not None
    screen.until("testing")
    verdicts = json.loads(screen.process.stdout.read())
    assert screen.end() == 1
    assert len(verdicts) == 2


def test_no_color_is_honoured(retail: CommandLine) -> None:
    coloured, plain = Screen(retail, "test"), Screen(retail, "test", NO_COLOR="1")
    assert coloured.end() == plain.end() == 1
    assert any("3" in code for code in _COLOUR.findall(coloured.text))
    assert not [code for code in _COLOUR.findall(plain.text) if re.search(r"[\[;](3[0-7]|9[0-7]|38)", code)]


def test_a_dumb_terminal_gets_nothing_that_moves_and_words_that_can_be_read(retail: CommandLine) -> None:
    bastion = "{name: vpc_a, kind: ssh, ssh: {host: 10.77.1.2, username: probe, private_key: 'file:/keys/id'}}"
    text = workspace(source("closed", 1)).replace("kind: local}]", f"kind: local}}, {bastion}]")
    retail.apply(text.replace("resource_groups: [local]", "resource_groups: [local, vpc_a]"))
    screen = Screen(retail, "test", "closed", TERM="dumb", COLUMNS="80")
    assert screen.end() == 1
    assert "\x1b" not in screen.text
    words = set(screen.text.replace("│", " ").split())
    assert {"retail/closed", "prod", "local", "vpc_a", "Unreachable", "ConfigError", "PORT.CLOSED"} <= words
    assert max(map(len, screen.text.splitlines())) <= 80


def test_wide_names_keep_the_table_in_shape(retail: CommandLine) -> None:
    with sqlite3.connect(retail.home / "registry.db") as database:
        database.execute("UPDATE data_source SET description = ?", ("订单数据库的说明" * 6,))
    screen = Screen(retail, "list")
    assert screen.end() == 0
    rows = [line for line in _CONTROL.sub("", screen.text).splitlines() if line[:1] in "│┃┏└├┡"]
    widths = {sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in row) for row in rows}
    assert len(rows) > 5
    assert len(widths) == 1
    assert widths.pop() <= 100


@pytest.mark.parametrize("variables", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}])
def test_no_locale_breaks_the_output(retail: CommandLine, variables: dict[str, str]) -> None:
    with sqlite3.connect(retail.home / "registry.db") as database:
        database.execute("UPDATE data_source SET description = '订单 ü'")
    done = retail("list", **variables)
    assert (done.status, "Traceback" in done.err) == (0, False)
    expected = "订单 ü" if "PYTHONIOENCODING" not in variables else r"\u8ba2\u5355 \xfc"
    assert expected in done.out
    assert retail("test", "订单", **variables).status == 2


def test_version(cli: CommandLine) -> None:
    from importlib.metadata import version

    assert cli("--version").out == f"headwater {version('headwater')}\n"


# --- completion ------------------------------------------------------------------------------------------------------


def _complete(cli: CommandLine, line: str, **variables: str) -> list[str]:
    words = line.split(" ")
    done = cli(_HEADWATER_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), **variables)
    assert (done.status, done.err) == (0, "")
    return done.out.split()


def test_a_shell_completes_names_of_the_registry_and_the_catalogues(retail: CommandLine) -> None:
    assert _complete(retail, "headwater test or") == ["orders"]
    assert _complete(retail, "headwater show retail/") == ["retail/closed", "retail/orders"]
    assert _complete(retail, "headwater show re") == ["retail/"]
    assert _complete(retail, "headwater test --workspace ret") == ["retail"]
    assert _complete(retail, "headwater test --group l") == ["local"]
    assert _complete(retail, "headwater causes DNS.NX") == ["DNS.NXDOMAIN"]
    assert "mariadb" in _complete(retail, "headwater list --type ma")
    assert _complete(retail, "headwater secret orders p") == ["prod"]


def test_completion_finds_names_in_postgresql_too(cli: CommandLine, postgresql: EmbeddedPostgresql) -> None:
    postgresql.execute("CREATE DATABASE completion")
    cli.environment["HEADWATER_DATABASE_URL"] = postgresql.url("completion")
    cli.apply(workspace(source("orders"), source("or_ders_x")))
    assert _complete(cli, "headwater test orde") == ["orders"]
    assert _complete(cli, "headwater test or_") == ["or_ders_x"]


def test_completion_is_silent_and_makes_nothing_where_it_cannot_read(cli: CommandLine) -> None:
    home = cli.folder / "none"
    assert _complete(cli, "headwater test or", HEADWATER_HOME=str(home)) == []
    assert not home.exists()
    (cli.home / "registry.db").write_bytes(b"no database")
    assert _complete(cli, "headwater test or") == []
    assert _complete(cli, "headwater test or", HEADWATER_DATABASE_URL="postgresql://x:y@127.0.0.1:1/z") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(cli: CommandLine, shell: str) -> None:
    done = cli("--show-completion", shell)
    assert (done.status, "_HEADWATER_COMPLETE" in done.out) == (0, True)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_no_password_of_any_kind_is_found_anywhere(retail: CommandLine, postgresql: EmbeddedPostgresql) -> None:
    kinds = {name: f"canary-{name}-6b1f" for name in ("env", "file", "stored", "url", "typed", "literal", "malformed")}
    retail.environment["CANARY"] = kinds["env"]
    retail.write("secret", kinds["file"])
    port = postgresql.port
    url = f"jdbc:postgresql://127.0.0.1:{port}/postgres?user=postgres&password={kinds['url']}"
    written = workspace(
        source("by_env", port, password="env:CANARY"),
        source("by_file", port, password=f"file:{retail.folder / 'secret'}"),
        source("by_prompt", port, password="env:CANARY"),
        f'      - {{name: by_url, type: postgresql, prod: {{jdbc_url: "{url}"}}}}',
    )
    retail.write("canaries.yaml", written)
    retail.write("literal.yaml", workspace(source("literal", port, password=kinds["literal"])))
    outcomes = [
        retail("apply", "-f", "canaries.yaml"),
        retail("secret", "by_prompt", "prod", stdin=kinds["stored"] + "\n"),
        retail("apply", "-f", "literal.yaml"),
        retail("secret", "by_prompt", "prod", "pasword", stdin=kinds["typed"]),
        retail("secret", "by_prompt", "dev", stdin=kinds["typed"]),
        retail("test", "-o", "json"),
        retail("test", "--explain"),
        retail("test", "--url", f"postgresql://postgres:{kinds['typed']}@127.0.0.1:{port}/postgres", "--explain"),
        retail("test", "--url", f"postgresql://postgres:{kinds['malformed']}@127.0.0.1:{port}x/postgres", "-o", "json"),
        retail("export"),
        retail("list", "-o", "json"),
        *(retail(command, f"by_{kind}", "-o", "json") for kind in ("url", "prompt") for command in ("show", "history")),
        retail("keys", "rotate"),
        retail("apply", "-f", "canaries.yaml", "--dry-run", "-o", "json"),
    ]
    assert outcomes[0].status == outcomes[1].status == 0
    assert "CONFIG.CLEAR_PASSWORD" in outcomes[0].err
    causes = [one["cause"] for one in outcomes[5].json if one["source"].startswith("by_")]
    assert causes == ["AUTH.BAD_CREDENTIALS"] * 4  # every one of them was resolved, sent and refused
    told = "".join(one.out + one.err for one in outcomes)
    kept = b"".join(path.read_bytes() for path in retail.home.iterdir())
    for kind, value in kinds.items():
        assert value not in told, kind
        assert value.encode() not in kept, kind
    assert "Traceback" not in told


def test_ctrl_c_before_the_first_word_leaves_no_traceback(cli: CommandLine) -> None:
    # Python tells on standard error what it has imported: the first line after the handler shows that it is still busy.
    command = [sys.executable, "-X", "importtime", HEADWATER, "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment) as early:
        assert early.stderr is not None
        while (line := early.stderr.readline()).split()[-1:] != [b"typer.core"]:
            assert line, "it has ended before"
        early.send_signal(signal.SIGINT)
        rest = early.stderr.read()
        status = early.wait()
    assert (status, b"Traceback" in rest, b"headwater: interrupted\n" in rest) == (130, False, True), rest


def test_the_labs_list_ends_quietly_when_nobody_reads_on() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([root / "scripts" / "lab", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        lab.stdout.close()
        assert lab.stderr is not None
        assert (lab.stderr.read(), lab.wait()) == (b"", 141)


def test_the_help_shows_every_command_under_its_heading() -> None:
    known = Menu()
    assert {name: known[name].rich_help_panel for name in known} == {
        name: heading for heading, names in HEADINGS.items() for name in names
    }
    modules = {one.name for one in pkgutil.iter_modules(commands.__path__)}
    named = {place.partition(":")[0] for names in HEADINGS.values() for place in names.values()}
    assert modules - named == {"auditing", "batches", "observing"}, "the verbs of `group` and of `source`"
