"""`jdbc:sap://host:port/?databaseName=NAME&encrypt=true` (SAP's JDBC driver)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.urls import generic
from registry.urls.normal import normal_database
from registry.urls.parsed import ParsedUrl, address_fields, same

EXAMPLE = "jdbc:sap://hana.example.com:30015/?databaseName=HXE"
DEFAULT_PORT = 30015

_DATABASE = "databasename"


def parse(scheme: str, rest: str) -> ParsedUrl:
    """The database is a parameter; a path that names one must agree."""
    url = generic.parse(scheme, rest)
    named = next((value for key, value in url.properties.items() if key.lower() == _DATABASE), None)
    kept = {key: value for key, value in url.properties.items() if key.lower() != _DATABASE}
    database = same(url.database, normal_database(named) if named else None, "the database")
    return replace(url, database=database, properties=kept)


def build(url: ParsedUrl) -> str:
    """Everything but the password."""
    named = {"databaseName": url.database} if url.database else {}
    return generic.build(replace(url, database=None, properties={**named, **url.properties}))


fields = address_fields


def scheme_of(connection: Any) -> str:
    """SAP's."""
    return "jdbc:sap"
