"""What must be so after each act, as the registry, the Prefect server, the files and the databases have it."""

from __future__ import annotations

import subprocess
from collections import Counter

from registry.store import Store
from tests.lab.servers import PASSWORD
from tests.lab.story.house import SPECS, House

DEPLOYMENTS = 200
DEPENDENTS = DEPLOYMENTS + SPECS
#: Dependents in the waves that stay when the third one fails.
STAYING = 41
OLD, NEW = "shop/orders", "shop/orders_new"


def registered(house: House) -> None:
    """Three sources, each seen from both groups; the secret that was typed lies nowhere in clear."""
    with house.store() as store:
        assert store.workspaces.get("shop").mode == "basic"
        assert _states(store) == Counter({("Connectable", None): 6})
        reference = store.sources.get("shop", "orders").entry("prod").references["password"]
    assert not reference.startswith("env:"), reference
    kept = b"".join(path.read_bytes() for path in house.home.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in kept


def found(house: House) -> None:
    """Everybody who names the orders, wherever."""
    with house.store() as store:
        uses = store.dependents.of(OLD)
        assert store.dependents.summary(OLD).dependents == DEPENDENTS
    pointers = {place.pointer for use in uses for place in use.places if use.adapter == "prefect_deployments"}
    assert {"/parameters/source", "/parameters/sources/0", "/parameters/copies/0/source"} <= pointers, pointers


def upgraded(house: House) -> None:
    """Both sides, each at its own server; what runs in development has moved to dev."""
    with house.store() as store:
        assert store.workspaces.get("shop").mode == "standard"
        orders = store.sources.get("shop", "orders")
        hosts = [orders.entry(env).properties["address"][0]["host"] for env in ("dev", "prod")]
        assert hosts == ["dev-db.lab.test", "orders-db.lab.test"]
        assert Counter(use.env for use in store.dependents.of(OLD)) == Counter(prod=DEPENDENTS - 12, dev=12)


def moved(house: House) -> None:
    """The rows are at the new place, and nothing answers at the old one."""
    assert house.new.sql("SELECT count(*) FROM orders") == "500"
    assert not house.old.ready()


def sick(house: House) -> None:
    """The flow says so, and the registry remembers."""
    (run,) = house.ask(
        "/flow_runs/filter", {"limit": 1, "sort": "START_TIME_DESC", "flows": {"name": {"any_": ["health-check"]}}}
    )
    assert run["state"]["name"] == "Sick", run["state"]
    assert "PORT.CLOSED" in house.artifact("headwater-health")
    _is_closed(house)


def diagnosed(house: House) -> None:
    """One cause from both groups, at the exact place."""
    _is_closed(house)


def refused(house: House) -> None:
    """Nothing has gone."""
    with house.store() as store:
        assert {entry.env for entry in store.sources.get("shop", "orders").entries} == {"dev", "prod"}
        assert not store.tombstones.list()


def new_is_well(house: House) -> None:
    """Both sides from both groups."""
    with house.store() as store:
        states = Counter(one.verdict.state.value for one in store.verdicts.latest(source="orders_new"))
    assert states == Counter(Connectable=4), states


def planned(house: House) -> None:
    """Nothing is changed yet."""
    assert _names(house) == Counter(orders=DEPLOYMENTS)
    assert _changed(house) == []


def rolled_back(house: House) -> None:
    """The first two waves are on the new source, the third is as it was, to the byte; the audit tells it of each."""
    names = _names(house)
    assert names["orders_new"] + len(_changed(house)) == STAYING, names
    assert all(_source(one) == "orders" for name, one in house.deployments().items() if name.startswith("invoices"))
    _audit_agrees(house, STAYING)


def repointed(house: House) -> None:
    """Everybody."""
    assert _names(house) == Counter(orders_new=DEPLOYMENTS)
    assert len(_changed(house)) == SPECS
    _audit_agrees(house, DEPENDENTS)


def verified(house: House) -> None:
    """Of every file one line differs, by the name alone; neighbours of the name in parameters are as they were."""
    for path in (house.shop / "specs" / name for name in _git(house, "ls-files").splitlines()):
        before = _git(house, "show", f"HEAD:./{path.name}")
        assert path.read_text().replace("orders_new", "orders") == before, path.name
        assert path.read_text().count("orders_new") == 1, path.name
    assert all(one["copies"][1]["source"] == "archive" for one in house.deployments().values() if "copies" in one)
    with house.store() as store:
        assert store.dependents.summary(OLD).dependents == 0
        assert store.dependents.summary(NEW).dependents == DEPENDENTS


def deleted(house: House) -> None:
    """A tombstone stands in its place."""
    with house.store() as store:
        assert [row.name for row in store.sources.list(workspace="shop").items] == [
            "archive",
            "orders_new",
            "warehouse",
        ]
        (tomb,) = store.tombstones.list()
        assert tomb.path == OLD


def restored(house: House) -> None:
    """Both sides and the secret; the dev side is connected to with it."""
    with house.store() as store:
        orders = store.sources.get("shop", "orders")
        assert {entry.env for entry in orders.entries} == {"dev", "prod"}
        tested = store.verdicts.latest(source="orders", env="dev")
        assert store.tombstones.list() == []
        assert store.dependents.summary(NEW).dependents == DEPENDENTS
    assert {one.verdict.state.value for one in tested} == {"Connectable"}


# --- looking --------------------------------------------------------------------------------------------------------


def _states(store: Store) -> Counter[tuple[str, str | None]]:
    found = store.verdicts.latest(workspace="shop")
    return Counter((one.verdict.state.value, one.verdict.cause) for one in found)


def _is_closed(house: House) -> None:
    with house.store() as store:
        latest = [one.verdict for one in store.verdicts.latest(source="orders", env="prod")]
    assert {(one.resource_group, one.cause) for one in latest} == {("office", "PORT.CLOSED"), ("jobs", "PORT.CLOSED")}
    assert {one.component for one in latest} == {f"{house.old.v4}:5432"}


def _names(house: House) -> Counter[str]:
    """What the deployments name, as the server has them."""
    return Counter(map(_source, house.deployments().values()))


def _source(parameters: dict[str, object]) -> str:
    copies, sources = parameters.get("copies"), parameters.get("sources")
    first = copies[0]["source"] if isinstance(copies, list) else sources[0] if isinstance(sources, list) else None
    return str(first or parameters["source"])


def _changed(house: House) -> list[str]:
    """Files that hold something else than what is committed."""
    return _git(house, "diff", "--name-only").splitlines()


def _git(house: House, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(house.shop / "specs"), *arguments], check=True, capture_output=True, text=True
    ).stdout


def _audit_agrees(house: House, on_new: int) -> None:
    """What the audit says of each dependent is where it is; that a smoke run was seen to connect counts for nothing."""
    with house.store() as store:
        for path, expected in ((NEW, on_new), (OLD, DEPENDENTS - on_new)):
            uses = {(use.adapter, use.key) for use in store.dependents.of(path) if use.places}
            assert len(uses) == expected, (path, len(uses))
            for adapter, key in uses:
                last = [
                    one for one in store.history(f"dependent:{adapter}:{key}") if one.action in ("repoint", "roll_back")
                ]
                assert not last or (last[-1].after or {})["source"] == path, key
