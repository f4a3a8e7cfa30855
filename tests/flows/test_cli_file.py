"""`headwater file`, as a user sees it."""

from __future__ import annotations

from tests.flows.cli_support import CommandLine

SECRET = "canary-file-7c"
RETAIL = """
version: 1
workspaces:
  - name: retail
    data_sources:
      - name: orders
        type: postgresql
        prod: {address: [{host: h, port: 5432}], database: d, username: u, truststore_file: "certificate:ca",
               security_protocol: authTypeSsl}
"""


def test_the_life_of_a_file(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli.write("ca.pem", SECRET)
    made = cli("file", "add", "retail/ca", "ca.pem", "--description", "of orders")
    assert made.status == 0
    assert len(made.out.strip()) == 32
    assert cli("file", "list", "-o", "json").json[0]["users"] == ["retail/orders/prod.truststore_file"]
    shown = cli("file", "show", "ca", "-w", "retail")
    assert f"{len(SECRET)} bytes, SHA-256 " in shown.out
    assert "referred to by retail/orders/prod.truststore_file" in shown.out
    assert SECRET not in shown.out
    cli("file", "delete", "retail/ca").refused("1 field refers to it", "retail/orders/prod.truststore_file")
    assert cli("file", "replace", "retail/ca", "-", stdin="another").status == 0
    assert cli("file", "show", "retail/ca", "-o", "json").json["size"] == 7
    assert cli("edit", "orders", "--set", "truststore_file=file:/etc/ca.pem").status == 0
    assert cli("file", "delete", "retail/ca").status == 0
    assert cli("file", "list").out == ""


def test_what_cannot_be_is_told(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli("file", "add", "ca", "nowhere.pem", "-w", "retail").refused("nowhere.pem: cannot be read")
    cli("file", "add", "ca", "nowhere.pem").refused("WORKSPACE/NAME")
    cli("file", "show", "retail/ca").refused("no file 'ca'", "headwater file add")
    cli("file", "show", "retail/ca", "-w", "other").refused("is of workspace retail")


def test_a_file_that_an_export_left_behind_is_given_again_under_its_id(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli.write("ca.pem", SECRET)
    made = cli("file", "add", "retail/ca", "ca.pem").out.strip()
    written = cli("export").out
    assert SECRET not in written
    assert cli("edit", "orders", "--set", "truststore_file=file:/etc/ca.pem").status == 0
    assert cli("file", "delete", "retail/ca").status == 0
    cli.write("export.yaml", written)
    done = cli("apply", "-f", "export.yaml")
    assert f"headwater file add retail/ca PATH --id {made}" in done.err
    assert cli("file", "add", "retail/ca", "ca.pem", "--id", made).out.strip() == made
    assert cli("export").out == written
    cli("file", "add", "retail/other", "ca.pem", "--id", made).refused("has a file of this id")
    cli("file", "add", "retail/other", "ca.pem", "--id", "nonsense").refused("no id of a file")
