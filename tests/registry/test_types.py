"""One suite that every type of the catalogue passes, other people's included."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from registry import types, urls
from registry.connection import Connection, Mode, read_entry
from registry.connection.fields import REFERENCE_SCHEMES
from registry.errors import NotFound
from registry.types import DataSourceType
from registry.types.documentation import markdown

CATALOGUE = types.catalogue()
MODES = [(type_, mode) for type_ in CATALOGUE.values() for mode in type_.modes]

every_type = pytest.mark.parametrize("type_", CATALOGUE.values(), ids=CATALOGUE)
every_mode = pytest.mark.parametrize(("type_", "mode"), MODES, ids=[f"{type_.name}-{mode}" for type_, mode in MODES])

#: Words in a field's name that give it away as a secret or as a file that holds one.
SECRET_WORDS = ("password", "token", "secret")
FILE_WORDS = ("_file",)


def full_entry(type_: DataSourceType, mode: Mode) -> dict[str, Any]:
    """An entry with every field set to its documented example."""
    model = type_.modes[mode]
    entry = {name: info.examples[0] for name, info in model.model_fields.items() if info.examples}
    if "properties" in entry:
        entry["properties"] = {}
    if "address" in entry:
        entry["address"] = [{"host": "db.example.com", "port": type_.default_port}]
    return entry


@every_mode
def test_every_field_has_a_description_and_an_example(type_: DataSourceType, mode: Mode) -> None:
    model = type_.modes[mode]
    assert model.mode is mode
    for name, info in model.model_fields.items():
        assert info.description, name
        assert info.description.endswith("."), name
        assert info.examples, name


@every_mode
def test_the_examples_of_all_fields_are_a_valid_entry(type_: DataSourceType, mode: Mode) -> None:
    reading = read_entry(type_, full_entry(type_, mode))
    assert type(reading.connection) is type_.modes[mode]
    assert not reading.removed


@every_type
def test_the_example_parses_and_loses_nothing(type_: DataSourceType) -> None:
    reading = read_entry(type_, type_.example)
    assert not reading.removed
    assert not reading.literals
    assert reading.connection.endpoints()
    assert type_.protocol_of(reading.connection) in {type_.protocol, *type_.variants.values()}


@every_mode
def test_secrets_are_marked_and_take_references_only(type_: DataSourceType, mode: Mode) -> None:
    model = type_.modes[mode]
    marked = model.sensitive_fields()
    for name in model.model_fields:
        if any(word in name for word in SECRET_WORDS):
            assert marked.get(name) == "secret", name
        if any(name.endswith(word) for word in FILE_WORDS):
            assert marked.get(name) == "file", name
    entry = full_entry(type_, mode)
    connection = read_entry(type_, entry).connection
    assert set(connection.secret_references()) == set(marked)
    for name in marked:
        with pytest.raises(Exception, match="literal secret") as caught:
            read_entry(type_, {**entry, name: "hunter2-not-a-reference"})
        assert "hunter2" not in str(caught.value)


@every_mode
def test_an_entry_survives_being_written_and_read_again(type_: DataSourceType, mode: Mode) -> None:
    connection = read_entry(type_, full_entry(type_, mode)).connection
    for by_alias in (False, True):
        dumped = connection.model_dump(mode="json", by_alias=by_alias, exclude_none=True)
        assert read_entry(type_, dumped).connection == connection


@every_type
def test_names_and_ports_are_in_order(type_: DataSourceType) -> None:
    assert type_.name == type_.name.lower()
    assert 1 <= type_.default_port <= 65535
    assert type_.tested in ("server", "protocol", "wire")
    assert type_.protocol in urls.DIALECTS
    assert types.get(type_.name) is type_
    assert types.get(type_.name.upper().replace("_", "-")) is type_


@every_type
def test_aliases_lead_to_the_type_and_to_no_other(type_: DataSourceType) -> None:
    taken = [name for other in CATALOGUE.values() if other is not type_ for name in (other.name, *other.aliases)]
    for alias in type_.aliases:
        assert alias not in taken
        assert types.get(alias) is type_


#: Schemes whose URLs do not look like `scheme://host/name`.
URLS = {
    "unix": "unix:///1",
    "sqlserver": "jdbc:sqlserver://127.0.0.1;databaseName=1",
    "db2": "jdbc:db2://127.0.0.1/1",
    "oracle": "jdbc:oracle:thin:@//127.0.0.1/orders",
}


@every_type
def test_url_schemes_lead_to_the_type(type_: DataSourceType) -> None:
    for scheme in type_.url_schemes:
        assert urls.parse(URLS.get(scheme, f"{scheme}://127.0.0.1/1")).type_name == type_.name
        if scheme in ("postgresql", "mysql", "mariadb", "kingbase8", "oceanbase"):
            assert urls.parse(f"jdbc:{scheme}://127.0.0.1/orders").type_name == type_.name


@every_type
def test_the_url_of_an_entry_is_safe_and_leads_back(type_: DataSourceType) -> None:
    connection = read_entry(type_, full_entry(type_, Mode.CONNECTION_STRING)).connection
    url = urls.build_url(type_, connection)
    for reference in connection.secret_references().values():
        assert reference not in url
        assert not any(f"{scheme}:{reference.partition(':')[2]}" in url for scheme in REFERENCE_SCHEMES)
    parsed = urls.parse(url)
    found = [(host, port or type_.default_port) for host, port in parsed.endpoints]
    assert found == [(endpoint.host, endpoint.port) for endpoint in connection.endpoints()]
    database = getattr(connection, "database", None)
    assert (parsed.database or None) == (None if database is None else str(database))
    assert parsed.password is None


@every_type
def test_a_url_stands_in_place_of_the_address(type_: DataSourceType) -> None:
    entry = full_entry(type_, Mode.CONNECTION_STRING)
    connection = read_entry(type_, entry).connection
    url = urls.build_url(type_, connection)
    given = urls.fields(urls.parse(url), type_)
    rest = {name: value for name, value in entry.items() if name not in given}  # what a URL has no place for
    again = read_entry(type_, {"jdbcUrl": url, **rest}).connection
    assert again.endpoints() == connection.endpoints()
    for name in ("database", "username", "base_dir", "url", "protocol"):
        if name != "username" or type_.protocol != "http":
            assert getattr(again, name, None) == getattr(connection, name, None)


def test_an_unknown_type_is_told_with_the_nearest_names() -> None:
    with pytest.raises(NotFound, match="postgresql") as caught:
        types.get("postgrsql")
    assert "unknown data source type 'postgrsql'" in str(caught.value)


@pytest.mark.parametrize("name", ["documentation", "../errors", "", "registry.errors", "__init__"])
def test_no_other_module_passes_for_a_type(name: str) -> None:
    with pytest.raises(NotFound):
        types.get(name)


def test_one_type_loads_without_the_rest_of_the_catalogue() -> None:
    import subprocess
    import sys

    script = "import sys; from registry import types; types.get('postgresql'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "registry.types.postgresql" in loaded
    assert "registry.types.redis" not in loaded


def test_a_type_of_another_package_speaks_a_known_protocol_under_its_own_scheme(tmp_path: Path) -> None:
    """As an installed package would add it, by the entry point group."""
    import subprocess
    import sys

    (tmp_path / "goldendb.py").write_text(
        "from registry.connection import Mode\n"
        "from registry.types import DataSourceType\n"
        "from registry.types.mysql import SingleHost\n"
        "TYPE = DataSourceType(name='goldendb', title='GoldenDB', protocol='mysql', default_port=5258,\n"
        "    modes={Mode.CONNECTION_STRING: SingleHost}, example={}, url_schemes=('goldendb',))\n"
    )
    info = tmp_path / "goldendb-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: goldendb\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[headwater.types]\ngoldendb = goldendb:TYPE\n")
    script = (
        "from registry.connection import read_url\n"
        "type_, reading = read_url('jdbc:goldendb://u@db.example.com/orders')\n"
        "print(type_.name, reading.connection.endpoints()[0].port)"
    )
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{tmp_path}:{root}"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["goldendb", "5258"], done.stderr


def test_the_page_of_types_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "types.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run scripts/generate_types_doc.py"


def test_a_connection_never_shows_a_literal() -> None:
    entry = {**types.get("mysql").example, "password": "hunter2"}
    reading = read_entry(types.get("mysql"), entry, literals_allowed=True)
    assert isinstance(reading.connection, Connection)
    assert reading.literals == {"password": SecretStr("hunter2")}
    assert "hunter2" not in repr(reading)
