"""A target from a URL that was typed a moment ago."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.errors import HeadwaterError, InvalidInput
from tasks.adhoc import target_of_url
from tasks.check import check
from tasks.vantages.local import LocalVantage

SECRET = "canary-adhoc-77"


def test_the_password_is_taken_out_of_the_url() -> None:
    target = target_of_url(f"postgresql://app:{SECRET}@db.example.com/orders", None, None, ("t",))
    assert (target.type, target.protocol, target.default_port, target.problem) == (
        "postgresql",
        "postgresql",
        5432,
        None,
    )
    assert target.connection is not None
    assert SECRET not in repr(target)
    assert SECRET not in target.connection.model_dump_json()
    assert target.secrets()["password"].get_secret_value() == SECRET
    assert target.connection.objects == ("t",)


def test_user_and_password_may_be_given_apart() -> None:
    target = target_of_url("mysql://db.example.com/orders", "app", SECRET, ())
    assert target.connection is not None
    assert target.connection.model_dump()["username"] == "app"
    assert target.secrets()["password"].get_secret_value() == SECRET


def test_removed_parameters_are_warnings() -> None:
    target = target_of_url("jdbc:mysql://app:x@h/d?autoDeserialize=true&allowLoadLocalInfile=true", None, None, ())
    assert {warning.code for warning in target.warnings} == {"CONFIG.PARAM_REMOVED"}
    told = " ".join(warning.message for warning in target.warnings)
    assert "autoDeserialize" in told
    assert "allowLoadLocalInfile" in told


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"postgresql://app:{SECRET}@h:99999/d", "CONFIG.BAD_VALUE"),
        (f"jdbc:mysql://app:{SECRET}@[h/d", "CONFIG.BAD_VALUE"),
        ("postgresql://db.example.com", "CONFIG.MISSING_FIELD"),
    ],
)
def test_a_malformed_url_of_a_known_kind_is_a_target_with_a_problem(url: str, code: str) -> None:
    target = target_of_url(url, None, None, ())
    assert (target.connection, target.problem_code) == (None, code)
    assert SECRET not in f"{target}{target.problem}"
    assert target.secrets() == {}


@pytest.mark.parametrize("url", ["", "h:1", f"app:{SECRET}@h", "jdbc:nothing://h/d", "x" * 10_000 + "://h"])
def test_a_url_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(HeadwaterError) as refused:
        target_of_url(url, None, None, ())
    assert SECRET not in str(refused.value)
    assert len(str(refused.value)) < 500


async def test_fields_that_do_not_go_together_are_told_with_what_to_do() -> None:
    """A rule over several fields knows no single one to point at: the remedy is there all the same."""
    problem = InvalidInput("kerberos_file_conf and kerberos_file_keytab belong together", where="retail/orders/prod")
    target = replace(target_of_url("postgresql://app@127.0.0.1:1/shop", None, None, ()), connection=None)
    told = await check(replace(target, problem=problem, problem_code="CONFIG.BAD_VALUE"), LocalVantage())
    assert (told.cause, told.component) == ("CONFIG.BAD_VALUE", "retail/orders/prod")
    assert told.message.startswith("kerberos_file_conf and")
    assert "Correct the entry" in told.remedy
