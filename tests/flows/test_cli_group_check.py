"""`headwater group check`; what it finds is in tests/lab/test_allowlist.py."""

from __future__ import annotations

from tests.flows.cli_support import CommandLine

GROUP = """
version: 1
resource_groups:
  - name: here
    kind: local
    network: {type: serverless, vswitch_cidrs: [%s], dns_servers: [%s]}
"""


def test_an_unknown_group_is_refused(cli: CommandLine) -> None:
    cli.apply(GROUP % ("", ""))
    cli("group", "check", "heer").refused("heer", "here")
