"""The allow-lists: what is kept, what is reported, what is forced, and what no encoding brings through."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.connection import read_url
from registry.errors import InvalidInput
from registry.parameters import allow_list, filter_parameters, safe_parameters
from registry.urls import build_url

FAMILIES = ("mysql", "postgresql", "redis", "sqlserver", "oracle", "clickhouse")
MYSQL_FORCED = {
    "allowLoadLocalInfile": "false",
    "allowUrlInLocalInfile": "false",
    "allowLocalInfile": "false",
    "autoDeserialize": "false",
}
DANGEROUS = sorted(
    (family, key) for family in FAMILIES for key in (*allow_list(family).dangerous, *allow_list(family).forced)
)


def test_the_known_are_kept_the_dangerous_forced_and_the_rest_reported() -> None:
    filtered = filter_parameters(
        "mysql",
        {
            "useUnicode": "true",
            "characterEncoding": "UTF-8",
            "allowLocalInfile": "true",
            "autoDeserialize": "true",
            "sessionVariables": "abc",
            "foo": "bar",
        },
    )
    assert filtered.kept == {"useUnicode": "true", "characterEncoding": "UTF-8", "sessionVariables": "abc"}
    assert [one.key for one in filtered.removed] == ["allowLocalInfile", "autoDeserialize", "foo"]
    assert filtered.forced == MYSQL_FORCED


@pytest.mark.parametrize(
    ("family", "key", "good", "bad"),
    [
        ("mysql", "serverTimezone", "GMT+8", "GMT;8"),
        ("mysql", "connectTimeout", "1000", "1000&autoDeserialize=true"),
        ("clickhouse", "server_time_zone", "Asia/Shanghai", "&foo=bar"),
        ("postgresql", "currentSchema", '"Sales",public', "public;drop"),
        ("sqlserver", "hostNameInCertificate", "*.example.com", "a{b"),
    ],
)
def test_values_are_held_to_the_pattern_of_their_key(family: str, key: str, good: str, bad: str) -> None:
    assert filter_parameters(family, {key: good}).kept == {key: good}
    filtered = filter_parameters(family, {key: bad})
    assert filtered.kept == {}
    assert [one.key for one in filtered.removed] == [key]


@pytest.mark.parametrize("spelling", [" USESSL\t", "%75seSSL", "%2575seSSL", "ｕｓｅＳＳＬ", "use\u200bSSL"])
def test_a_key_is_known_in_every_spelling(spelling: str) -> None:
    assert filter_parameters("mysql", {spelling: "true"}).kept == {"useSSL": "true"}


@pytest.mark.parametrize("spelling", ["autoDeserialize", "AUTODESERIALIZE", "auto Deserialize", "%61utoDeserialize"])
def test_a_connection_made_without_the_filter_has_a_safe_url_too(spelling: str) -> None:
    type_, reading = read_url("jdbc:mysql://app@db.example.com/orders")
    url = build_url(type_, reading.connection.model_copy(update={"properties": {spelling: "true"}}))
    assert "=true" not in url
    assert "autoDeserialize=false" in url


def test_values_that_are_no_text_are_written_as_drivers_do() -> None:
    assert filter_parameters("mysql", {"useSSL": True, "connectTimeout": 5}).kept == {
        "useSSL": "true",
        "connectTimeout": "5",
    }


def test_a_safe_value_of_a_forced_parameter_needs_no_report() -> None:
    assert filter_parameters("mysql", {"autoDeserialize": "false"}).removed == ()


def test_a_permit_keeps_a_special_parameter() -> None:
    permit = frozenset({"Options"})
    assert filter_parameters("postgresql", {"options": "-c work_mem=1MB"}).kept == {}
    kept = filter_parameters("postgresql", {"options": "-c work_mem=1MB"}, permit)
    assert kept.kept == {"options": "-c work_mem=1MB"}
    assert kept.removed == ()


@pytest.mark.parametrize("value", ["jndi:ldap://x", "ldap://x/y", "file:///etc/passwd", "a\x00b", "JNDI : x"])
def test_a_permit_does_not_let_a_value_point_elsewhere(value: str) -> None:
    filtered = filter_parameters("postgresql", {"options": value}, frozenset({"options"}))
    assert filtered.kept == {}


@pytest.mark.parametrize(("family", "key"), DANGEROUS)
def test_no_permit_keeps_a_dangerous_parameter(family: str, key: str) -> None:
    for spelling in (key, key.upper(), f" {key}\t", quote(quote(key[0])) + key[1:], f"%{ord(key[0]):02x}{key[1:]}"):
        with pytest.raises(InvalidInput, match="no permit keeps"):
            filter_parameters(family, {}, frozenset({spelling}))


def test_a_parameter_given_twice_must_say_the_same() -> None:
    with pytest.raises(InvalidInput, match="useSSL is given twice"):
        filter_parameters("mysql", {"useSSL": "true", "USESSL": "false"})


def test_what_may_be_a_piece_of_a_password_is_not_shown() -> None:
    filtered = filter_parameters("mysql", {"s3cr3t!word": "1"})
    assert "s3cr3t" not in repr(filtered.removed)


def test_a_protocol_without_a_list_takes_nothing() -> None:
    assert filter_parameters("http", {"a": "b"}).kept == {}
    assert filter_parameters("no-such/../protocol", {"a": "b"}).kept == {}


@st.composite
def disguised(draw: st.DrawFn, key: str) -> str:
    """A key as an attacker writes it: case, blanks, invisible characters, layers of percent-encoding."""
    blank = st.sampled_from(["", "", " ", "\t", "\n", "\u00a0", "\u200b", "\x00", "\u3000"])
    text = "".join(draw(blank) + (char.upper() if draw(st.booleans()) else char.lower()) for char in key) + draw(blank)
    if draw(st.booleans()):
        text = "".join(chr(ord(char) + 0xFEE0) if char.isalnum() and draw(st.booleans()) else char for char in text)
    for _ in range(draw(st.integers(0, 7))):
        text = (
            "".join(
                "".join(f"%{byte:02X}" for byte in char.encode()) if draw(st.booleans()) else quote(char)
                for char in text
            )
            if draw(st.booleans())
            else quote(text)
        )
    return text


@given(data=st.data(), case=st.sampled_from(DANGEROUS))
def test_nothing_dangerous_survives_any_disguise(data: st.DataObject, case: tuple[str, str]) -> None:
    family, key = case
    spelling = data.draw(disguised(key))
    filtered = filter_parameters(family, {spelling: "true"})
    assert filtered.kept == {}
    assert filtered.removed
    assert safe_parameters(family, {spelling: "true"}).items() >= allow_list(family).forced.items()
    safe = {name.lower(): value for name, value in safe_parameters(family, {spelling: "true"}).items()}
    assert safe.get(key.lower(), "false") == "false"


@given(data=st.data(), key=st.sampled_from(sorted(MYSQL_FORCED)))
def test_nothing_dangerous_gets_through_a_url(data: st.DataObject, key: str) -> None:
    hidden = quote(data.draw(disguised(key)), safe="%")
    url = f"jdbc:mysql://db.example.com/orders?useSSL=true&{hidden}=true&user=app"
    try:
        type_, reading = read_url(url)
    except InvalidInput:
        return
    properties = {name.lower(): value for name, value in reading.connection.properties.items()}
    assert properties.get(key.lower(), "false") == "false"
    assert f"{key}=true".lower() not in build_url(type_, reading.connection).lower()


@given(data=st.data(), key=st.sampled_from(sorted(MYSQL_FORCED)))
def test_nothing_dangerous_hides_in_a_value_or_the_database(data: st.DataObject, key: str) -> None:
    smuggled = data.draw(st.sampled_from(["&", "?", ";", "#", "/"])) + f"{key}=true"
    for _ in range(data.draw(st.integers(1, 4))):
        smuggled = quote(smuggled, safe="")
    for url in (
        f"jdbc:mysql://db.example.com/orders?useSSL=true{smuggled}&user=app",
        f"jdbc:mysql://db.example.com/orders{smuggled}?user=app",
        f"jdbc:mysql://db.example.com{smuggled}/orders?user=app",
        f"jdbc:mysql://db.example.com:3306{smuggled}/orders?user=app",
    ):
        try:
            type_, reading = read_url(url)
        except InvalidInput:
            continue
        assert f"{key}=true" not in build_url(type_, reading.connection)
