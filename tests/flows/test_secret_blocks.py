"""References to blocks of a real Prefect server, where it keeps their secrets encrypted."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from registry.errors import SecretUnresolved
from registry.secrets import resolve_reference
from tasks import references
from tests.serving import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("blocks")]

VALUE = "canary-block-4b1d"


@pytest.fixture(scope="module")
def blocks(prefect_server: PrefectServer) -> None:
    """A secret in itself, one that holds several, and a block of somebody's own type."""
    from prefect.blocks.core import Block
    from prefect.blocks.system import Secret

    class Login(Block):
        _block_type_slug = "shop-login"
        username: str
        password: SecretStr

    Secret(value=VALUE).save("orders")
    Secret(value={"orders": {"password": VALUE}}).save("several")
    Login(username="app", password=SecretStr(VALUE)).save("orders")
    references.install()


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("prefect:secret/orders", VALUE),
        ("prefect:secret/orders.value", VALUE),
        ("prefect:secret/several.value.orders.password", VALUE),
        ("prefect:shop-login/orders.password", VALUE),
        ("prefect:shop-login/orders.username", "app"),
    ],
)
def test_a_reference_gives_the_value_of_its_block(reference: str, value: str) -> None:
    assert resolve_reference(reference).get_secret_value() == value


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("prefect:secret/absent", "HTTP 404"),
        ("prefect:absent/orders", "HTTP 404"),
        ("prefect:shop-login/orders.no", "has no field 'no'"),
        ("prefect:secret/several.value.orders", "has no field 'value.orders' that holds a text"),
    ],
)
def test_a_reference_to_what_is_not_there_is_told(reference: str, told: str) -> None:
    with pytest.raises(SecretUnresolved, match=told) as caught:
        resolve_reference(reference)
    assert VALUE not in str(caught.value)
