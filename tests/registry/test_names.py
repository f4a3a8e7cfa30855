"""Names and descriptions by DataWorks' rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import names
from registry.errors import InvalidInput


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,254}", fullmatch=True))
def test_letters_digits_and_underscores_are_a_name(name: str) -> None:
    assert names.DATA_SOURCE.check(name) == name


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "empty"),
        ("1orders", "begins with '1'"),
        ("_orders", "begins with '_'"),
        ("or-ders", "'-' is not allowed"),
        ("orders\n", "'\\\\n' is not allowed"),
        ("retail.orders", "'.' is not allowed"),
        ("bestellungen_ä", "'ä' is not allowed"),
        ("o" * 256, "256 characters"),
        (7, "type int"),
    ],
)
def test_a_bad_name_is_told_with_place_fault_and_example(name: object, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault) as caught:
        names.DATA_SOURCE.check(name, where="retail/x.name")
    assert caught.value.where == "retail/x.name"
    assert caught.value.code == "CONFIG.BAD_VALUE"
    assert "orders_mysql" in caught.value.instruction


def test_clones_have_shorter_names() -> None:
    assert names.CLONE.check("a" * 60)
    with pytest.raises(InvalidInput, match="61 characters"):
        names.CLONE.check("a" * 61)


def test_descriptions_end_at_3000_characters() -> None:
    assert names.check_description("ö" * 3000) == "ö" * 3000
    with pytest.raises(InvalidInput, match="3001 characters"):
        names.check_description("x" * 3001)
