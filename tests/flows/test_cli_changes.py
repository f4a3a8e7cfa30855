"""Looking at what is registered and changing single things, as a user sees it."""

from __future__ import annotations

import os

import pytest

from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.cli_support import CommandLine, Screen, source, workspace

SECRET = "canary-change-a1"
PROMPT = "password of retail/orders/prod: "
REPEAT = "Repeat for confirmation: "


def test_list_finds_filters_sorts_and_pages(retail: CommandLine) -> None:
    told = "postgresql\tprod\t(no dev side: fill it in)\n"
    assert retail("list").out == f"retail/closed\t{told}retail/orders\t{told}"
    assert retail("list", "ORD").out.split("\t")[0] == "retail/orders"
    page = retail("list", "--desc", "--page-size", "1", "-o", "json").json
    assert (page["total"], [one["name"] for one in page["data_sources"]]) == (2, ["orders"])
    assert retail("list", "-t", "mysql").err == "0 data sources, page 1 of 1\n"


def test_show_tells_both_what_is_configured_and_how_it_fares(retail: CommandLine) -> None:
    assert retail("show", "closed", "-o", "json").json["verdicts"] == []
    retail("test")
    shown = retail("show", "retail/closed", "-o", "json").json
    assert (shown["prod"]["address"], shown["prod"]["password"]) == (
        [{"host": "127.0.0.1", "port": 1}],
        "env:ORDERS_PASSWORD",
    )
    (latest,) = shown["verdicts"]
    assert (latest["state"], latest["cause"], latest["resource_group"]) == ("Unreachable", "PORT.CLOSED", "local")
    first = latest["since"]
    retail("test", "closed")
    assert retail("show", "closed", "-o", "json").json["verdicts"][0]["since"] == first
    assert "PORT.CLOSED" in retail("show", "closed").out


def test_history_tells_who_changed_what_and_why(retail: CommandLine) -> None:
    retail.write("moved.yaml", workspace(source("closed", 2)))
    assert retail("apply", "-f", "moved.yaml", "--why", "ticket 7", HEADWATER_ACTOR="bob").status == 0
    made, changed = [
        one for one in retail("history", "closed", "-o", "json").json if one["object"].startswith("entry:")
    ]
    assert (made["actor"], made["action"], made["before"]) == ("alice", "create", None)
    assert (changed["actor"], changed["why"], changed["action"]) == ("bob", "ticket 7", "update")
    assert changed["before"] == {"address": [{"host": "127.0.0.1", "port": 1}]}
    assert changed["after"] == {"address": [{"host": "127.0.0.1", "port": 2}]}
    assert "bob\tupdate\tentry:retail/closed/prod\tticket 7" in retail("history", "closed").out


def test_apply_tells_each_change_before_and_after(retail: CommandLine) -> None:
    retail.write("moved.yaml", workspace(source("closed", 2), source("new", 3)))
    dry = retail("apply", "-f", "moved.yaml", "--dry-run")
    assert "~ data_source:retail/closed\n    prod.address: [" in dry.out
    assert '"port": 1}] -> [{' in dry.out
    assert "+ data_source:retail/new" in dry.out
    assert dry.out.endswith("would be: 1 created, 1 updated, 2 unchanged\n")
    done = retail("apply", "-f", "moved.yaml", "-o", "json").json
    assert {one["object"]: one["action"] for one in done["changes"]} == {
        "data_source:retail/closed": "update",
        "data_source:retail/new": "create",
    }
    assert (done["dry_run"], done["unchanged"]) == (False, 2)


def test_export_reads_back_as_the_same(retail: CommandLine) -> None:
    retail.write("exported.yaml", retail("export").out)
    assert (
        "5 unchanged" in retail("apply", "-f", "exported.yaml").out
        or "0 created, 0 updated" in retail("apply", "-f", "exported.yaml").out
    )


def test_workspaces_groups_types_and_causes_are_listed(retail: CommandLine) -> None:
    assert retail("workspaces").out == "retail\tstandard\tlocal\t\n"
    assert retail("workspaces", "-o", "json").json[0]["resource_groups"] == ["local"]
    assert retail("groups", "-o", "json").json == [{"name": "local", "kind": "local", "settings": {}, "network": {}}]
    types = {one["name"]: one for one in retail("types", "-o", "json").json}
    assert types["mysql"]["default_port"] == 3306
    assert "holo" in types["hologres"]["aliases"]
    assert "\nmysql\tMySQL\t3306" in retail("types").out
    codes = {one["code"]: one for one in retail("causes", "-o", "json").json}
    assert codes["PORT.CLOSED"]["state"] == "Unreachable"
    assert retail("causes", "port.closed").out.startswith("PORT.CLOSED\tUnreachable\t")


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_from_standard_input_is_used_and_kept_encrypted(
    retail: CommandLine, postgresql: EmbeddedPostgresql
) -> None:
    del retail.environment["ORDERS_PASSWORD"]
    assert retail("test", "orders").status == 1
    done = retail("secret", "orders", "prod", stdin=postgresql.password + "\n")
    assert done.out == "stored password of retail/orders/prod, encrypted\n"
    assert retail("test", "orders").status == 0
    assert retail("show", "orders", "-o", "json").json["prod"]["password"].startswith("stored:")
    assert retail("keys", "rotate").out == "1 secrets are encrypted under a new key\n"
    assert retail("test", "orders").status == 0


def test_a_secret_typed_at_a_prompt_is_not_shown_and_asked_twice(retail: CommandLine) -> None:
    screen = Screen(retail, "secret", "orders", "prod")
    screen.answer(PROMPT, SECRET)
    screen.answer(REPEAT, "another")
    screen.until("do not match")
    screen.answer(PROMPT, SECRET)
    screen.answer(REPEAT, SECRET)
    assert screen.end() == 0
    assert SECRET not in screen.text
    assert retail("show", "orders", "-o", "json").json["prod"]["password"].startswith("stored:")


def test_ctrl_c_at_the_prompt_stores_nothing(retail: CommandLine) -> None:
    screen = Screen(retail, "secret", "orders", "prod")
    screen.until(PROMPT)
    screen.interrupt()
    assert screen.end() == 130
    assert "Traceback" not in screen.text
    assert retail("show", "orders", "-o", "json").json["prod"]["password"] == "env:ORDERS_PASSWORD"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("orders", "prod", "pasword"), "did you mean password?"),
        (("orders", "prod", "database"), "'database' is no secret of postgresql"),
        (("orders", "dev"), "retail/orders has no dev configuration\n  it has: prod"),
        (("ordres", "prod"), "did you mean retail/orders?"),
    ],
)
def test_a_secret_for_nothing_is_refused_before_it_is_read(
    retail: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    done = retail("secret", *arguments, stdin=SECRET)
    done.refused(told)
    assert SECRET not in done.err


def test_no_secret_on_standard_input_is_told(retail: CommandLine) -> None:
    retail("secret", "orders", "prod").refused("standard input holds no secret")


@pytest.mark.parametrize(
    "moved",
    [
        source("kept", 2),
        source("kept", 1).replace("127.0.0.1", "localhost"),
        source("kept", 1, more=", properties: {sslmode: require}"),
    ],
    ids=["port", "host", "tls"],
)
def test_moving_an_entry_asks_for_its_stored_secret_again(cli: CommandLine, moved: str) -> None:
    assert cli("apply", "-f", "-", stdin=workspace(source("kept", 1, password=SECRET))).status == 0
    reference = cli("show", "kept", "-o", "json").json["prod"]["password"]
    cli.write("moved.yaml", workspace(moved.replace("env:ORDERS_PASSWORD", reference)))
    cli("apply", "-f", "moved.yaml").refused(
        "moved.yaml:8:", "retail/kept/prod.password: host, port or TLS setting change", "headwater apply -f -"
    )
    assert cli("show", "kept", "-o", "json").json["prod"]["address"] == [{"host": "127.0.0.1", "port": 1}]
    again = workspace(moved.replace("env:ORDERS_PASSWORD", SECRET))
    assert cli("apply", "-f", "-", stdin=again).status == 0


def test_a_permitted_parameter_outlives_a_change_of_the_secret(cli: CommandLine) -> None:
    url = f"jdbc:mysql://127.0.0.1:1/d?user=u&password={SECRET}&allowLoadLocalInfile=true&connectionAttributes=a:b"
    text = workspace(f'      - {{name: shop, type: mysql, prod: {{jdbc_url: "{url}"}}}}')
    cli.write("shop.yaml", text)
    first = cli("apply", "-f", "shop.yaml")
    assert "CONFIG.PARAM_REMOVED: the parameter connectionAttributes was removed" in first.err
    told = cli("permit", "shop", "connectionAttributes", "--why", "asked for by the audit")
    assert told.out == "retail/shop may keep connectionAttributes; apply its file again\n"
    again = cli("apply", "-f", "shop.yaml")
    assert "connectionAttributes" not in again.err
    assert "allowLoadLocalInfile" in again.err
    cli("secret", "shop", "prod", stdin="another")
    assert "connectionAttributes" in cli("show", "shop", "-o", "json").json["prod"]["properties"]
    assert any(one["why"] == "asked for by the audit" for one in cli("history", "shop", "-o", "json").json)


def test_a_removed_parameter_is_a_warning_of_every_verdict_until_the_text_is_clean(retail: CommandLine) -> None:
    def warnings() -> list[str]:
        (verdict,) = retail("test", "by_url", "-o", "json").json
        return [one["code"] + " " + one["message"] for one in verdict["warnings"]]

    url = "jdbc:postgresql://127.0.0.1:1/d?user=u&loggerFile=/tmp/x"
    text = workspace(f'      - {{name: by_url, type: postgresql, prod: {{jdbc_url: "{url}", password: "env:X"}}}}')
    retail.environment["X"] = "x"
    retail.apply(text)
    (told,) = warnings()
    assert told.startswith("CONFIG.PARAM_REMOVED the parameter loggerFile was removed: ")
    retail("secret", "by_url", "prod", stdin=SECRET)
    assert warnings() == [told]
    retail.apply(text)
    version = retail("show", "by_url", "-o", "json").json["version"]
    retail.apply(text.replace("&loggerFile=/tmp/x", ""))
    assert warnings() == []
    assert retail("show", "by_url", "-o", "json").json["version"] == version
    retail.apply(text)
    assert warnings() == [told]


def test_the_second_of_two_operators_gets_the_conflict(retail: CommandLine) -> None:
    screen = Screen(retail, "secret", "orders", "prod", HEADWATER_ACTOR="bob")
    screen.until(PROMPT)
    assert retail("secret", "orders", "prod", stdin="first").status == 0
    kept = retail("show", "orders", "-o", "json").json["prod"]["password"]
    screen.type(SECRET)
    screen.answer(REPEAT, SECRET)
    assert screen.end() == 2
    assert "retail/orders" in screen.text
    assert "alice" in screen.text
    assert "Traceback" not in screen.text
    assert retail("show", "orders", "-o", "json").json["prod"]["password"] == kept


# --- delete ----------------------------------------------------------------------------------------------------------


def test_delete_asks_first(retail: CommandLine) -> None:
    retail("delete", "closed").refused("nobody is there to confirm it", "--yes")
    screen = Screen(retail, "delete", "closed")
    screen.answer("Delete retail/closed (prod)? [y/N]: ", "n")
    assert screen.end() == 1
    assert "retail/closed stays" in screen.text
    assert retail("delete", "closed", "--yes", "--why", "retired").out == "deleted retail/closed\n"
    assert retail("list", "-o", "json").json["total"] == 1
    retail("show", "closed").refused("no data source 'closed'")


def test_the_acting_user_is_the_systems_unless_told(cli: CommandLine) -> None:
    import pwd

    del cli.environment["HEADWATER_ACTOR"]
    cli.apply(workspace(source("orders")))
    assert {one["actor"] for one in cli("history", "orders", "-o", "json").json} == {pwd.getpwuid(os.geteuid()).pw_name}


def test_list_narrows_to_tags_and_states(cli: CommandLine, postgresql: EmbeddedPostgresql) -> None:
    cli.environment["ORDERS_PASSWORD"] = postgresql.password

    def tagged(line: str, tags: str) -> str:
        return line.replace(", type:", f", tags: [{tags}], type:")

    cli.apply(workspace(tagged(source("orders", postgresql.port), "gold, café"), tagged(source("closed", 1), "gold")))

    def names(*options: str) -> list[str]:
        return [one["name"] for one in cli("list", "-o", "json", *options).json["data_sources"]]

    assert names("--tag", "gold") == ["closed", "orders"]
    assert names("--tag", "gold", "--tag", "café") == ["orders"]
    assert names("--tag", "gol") == []
    assert names("--state", "untested") == ["closed", "orders"]
    cli("test")
    assert names("--state", "Unreachable") == ["closed"]
    assert names("--state", "Unreachable", "--state", "Connectable") == ["closed", "orders"]
    assert names("--state", "untested") == []


def test_what_roles_do_not_let_see_is_neither_listed_nor_shown_nor_tested(cli: CommandLine) -> None:
    mine = workspace(source("orders")).replace("    mode:", "    members: [{user: mia, role: visitor}]\n    mode:")
    cli.apply(mine)
    cli.apply(
        workspace(source("bills"))
        .replace("name: retail", "name: closed")
        .replace("    mode:", "    members: [{user: bob, role: develop}]\n    mode:")
    )
    cli.environment["HEADWATER_ACTOR"] = "mia"
    assert [one["name"] for one in cli("list", "-o", "json").json["data_sources"]] == ["orders"]
    cli("list", "-w", "closed").refused("mia may not list data sources", "workspace:closed")
    cli("show", "orders").refused("mia may not look at a data source: mia has visitor")
    cli("test", "orders").refused("mia may not test a data source", "operator")
    cli("secret", "orders", "prod").refused("mia may not")


def test_members_and_tokens_from_the_command_line(cli: CommandLine) -> None:
    cli.apply(workspace(source("orders")))
    assert cli("member", "grant", "mia", "o&m", "-w", "retail").out == "mia is operator of workspace:retail\n"
    assert cli("member", "list", "-o", "json").json == [{"user": "mia", "role": "operator", "workspace": "retail"}]
    cli("member", "grant", "mia", "tenant_owner", "-w", "retail").refused("a role of the tenant")
    made = cli("token", "create", "mia", "--name", "laptop")
    assert made.out.startswith("hwt_")
    assert made.out.strip() not in cli("token", "list").out
    cli.environment["HEADWATER_TOKEN"] = made.out.strip()
    assert cli("permit", "orders", "x", "--why", "y").status == 0
    assert cli("history", "orders", "-o", "json").json[-1]["actor"] == "mia"
    cli("token", "create", "boss").refused("mia may not")
    assert cli("token", "revoke", "mia", "laptop").status == 0
    cli("list").refused("HEADWATER_TOKEN", "revoked")
