"""Connections that name an instance: who is asked, and what a stored secret is bound to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from registry.connection import Mode
from registry.connection.parts import CloudInstance
from registry.secrets import binding
from registry.types import catalogue, get


def connection(type: str = "postgresql", **changes: Any) -> Any:
    """A connection by instance id."""
    entry = {
        "region_id": "cn-hangzhou", "instance_id": "pgm-bp1example", "database": "orders", "username": "app", **changes,
    }  # fmt: skip
    return get(type).modes[Mode.INSTANCE].model_validate(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"instance_id": "pgm-bp1other"},
        {"region_id": "cn-shanghai"},
        {"cloud": "inventory"},
        {"read_only_db_instance": "rr-1"},
        {"cross_account_owner_id": "1234", "cross_account_role_name": "reader"},
        {"properties": {"sslmode": "disable"}},
    ],
)
def test_a_stored_secret_goes_to_no_other_instance(change: dict[str, Any]) -> None:
    assert binding(connection()) != binding(connection(**change))


def test_what_does_not_change_the_place_keeps_the_secret() -> None:
    assert binding(connection()) == binding(connection(database="other", objects=["lines"]))


def test_connection_strings_are_bound_as_before() -> None:
    model = get("redis").modes[Mode.CONNECTION_STRING]
    assert binding(model.model_validate({"address": {"host": "h", "port": 1}})) == '[["h 1"], "disable", null]'


@pytest.mark.parametrize("name", [name for name, type in catalogue().items() if Mode.INSTANCE in type.modes])
def test_every_type_with_instances_names_its_own(name: str) -> None:
    """`tasks.instances` asks for it by this property."""
    model = catalogue()[name].modes[Mode.INSTANCE]
    assert issubclass(model, CloudInstance)
    field = "cluster_id" if "cluster_id" in model.model_fields else "instance_id"
    assert model.model_construct(region_id="cn-hangzhou", **{field: "i-1"}).instance == "i-1"


@pytest.mark.parametrize("cloud", ["AWS", "my cloud", ""])
def test_a_cloud_is_a_plain_name(cloud: str) -> None:
    with pytest.raises(ValidationError):
        connection(cloud=cloud)
