"""`headwater group`: keys and settings of resource groups, as they are typed."""

from __future__ import annotations

import json
import stat

from tests.flows.cli_support import CommandLine

GROUPS = """
version: 1
resource_groups:
  - {name: local, kind: local}
  - {name: k8s_pool, kind: worker, worker: {work_pool: k8s-pool, start_timeout_s: 90}}
"""


def test_each_side_prints_what_is_to_be_typed_at_the_other(cli: CommandLine) -> None:
    cli.apply(GROUPS)
    worker = {"HEADWATER_HOME": str(cli.folder / "worker")}
    shown = cli("group", "show", "k8s_pool")
    (for_worker,) = [line.split()[1:] for line in shown.err.splitlines() if line.startswith("  headwater")]
    made = cli(*for_worker, **worker)
    assert made.status == 0, made.err
    public = made.out.strip()
    (for_registry,) = [line.split()[1:] for line in made.err.splitlines() if line.startswith("  headwater")]
    assert for_registry == ["group", "set-key", "k8s_pool", public]
    done = cli(*for_registry)
    assert done.status == 0, done.err
    (again,) = [line.split()[1:] for line in done.err.splitlines() if line.startswith("  headwater")]
    assert cli(*again, **worker).status == 0

    document = cli("group", "show", "k8s_pool", "--output", "json").json
    assert document["public_key"] == public
    assert document["registry_key"] == for_worker[-1]
    assert document["settings"] == {"work_pool": "k8s-pool", "start_timeout_s": 90}
    trusted = json.loads((cli.folder / "worker/trusted.json").read_text())
    assert trusted == {"k8s_pool": [document["registry_key"]]}
    assert not (cli.folder / "worker/registry.db").exists(), "no registry is made on the worker's side"
    key = cli.folder / "worker/worker.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().strip() not in made.out + made.err + json.dumps(document)


def test_keygen_keeps_the_key_and_needs_no_name(cli: CommandLine) -> None:
    first, second = cli("group", "keygen"), cli("group", "keygen", "k8s_pool")
    assert first.out == second.out
    assert "headwater group set-key NAME hw-worker-" in first.err
    assert cli("group", "keygen", "--trust", "x").status == 2


def test_what_cannot_be_is_refused(cli: CommandLine) -> None:
    cli.apply(GROUPS)
    public = cli("group", "keygen").out.strip()
    registry = cli("group", "show", "k8s_pool", "--output", "json").json["registry_key"]
    cli("group", "set-key", "local", public).refused("local is of kind local, which takes no key")
    cli("group", "set-key", "k8s", public).refused("no resource group 'k8s'", "k8s_pool")
    cli("group", "set-key", "k8s_pool", registry).refused("public key of the registry", "headwater group keygen")
    cli("group", "set-key", "k8s_pool", public[:-2]).refused("43 more characters")
    cli("group", "trust", "k8s_pool", public).refused("public key of the worker", "headwater group show NAME")
    assert cli("group", "list").out.splitlines()[0].startswith("k8s_pool\tworker")
