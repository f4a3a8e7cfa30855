"""The parts of a connection, whatever a tool calls them, as the fields of a type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.errors import NotFound
from registry.importing import NotTaken
from registry.importing.builders import BUILDERS, WITH_OPTIONS, Reference, database
from registry.importing.parts import Parts, shown, text
from registry.types import DataSourceType

#: Names that drivers, dialects and other tools give to types, besides the aliases that the types have themselves.
FOREIGN: Mapping[str, str] = {
    "mssql": "sqlserver",
    "azuresql": "sqlserver",
    "mongo": "mongodb",
    "mysql5": "mysql",
    "hiveserver2": "hive",
    "hive_cli": "hive",
    "spark": "hive",
    "kyuubi": "hive",
    "gcpbigquery": "bigquery",
    "google_cloud_platform": "bigquery",
    "http": "restapi",
    "dameng": "dm",
    "ibm_db_sa": "db2",
    "hana": "saphana",
    "saphanacloud": "saphana",
    "clickhousedb": "clickhouse",
    "oceanbase": "apsaradb_for_oceanbase",
    "rds": "mysql",
}

#: Options that hold secrets are never taken for plain parameters of a URL.
_SECRETIVE = re.compile(r"passw|secret|token|private.?key|passphrase|credential", re.IGNORECASE)


def type_of(name: Any) -> DataSourceType:
    """The type that another tool calls so.

    Raises:
        NotTaken: The catalogue has no such type.
    """
    if not isinstance(name, str) or not name.strip():
        raise NotTaken("it says no type")
    wanted = name.strip().lower().replace("-", "_")
    try:
        return types.get(FOREIGN.get(wanted, wanted))
    except NotFound as error:
        raise NotTaken(f"there is no data source type for {shown(name)}", error.instruction) from None


def fields_of(type_: DataSourceType, parts: Parts) -> tuple[dict[str, Any], list[str]]:
    """The fields of an entry, and remarks on what has none.

    Raises:
        NotTaken: What the type cannot do without is missing.
    """
    extra = dict(parts.extra)
    fields = BUILDERS.get(type_.name, database)(type_, parts, extra)
    known = {name for model in type_.modes.values() for name in model.model_fields}
    extra = {key: value for key, value in extra.items() if value not in (None, "", {}, [])}
    if "properties" in known and (type_.name not in BUILDERS or type_.name in WITH_OPTIONS):
        flat = {key: text(value) for key, value in extra.items() if text(value) and _is_plain(key, value)}
        if flat:
            fields["properties"] = flat
        extra = {key: value for key, value in extra.items() if key not in flat}
    fields = {name: value for name, value in fields.items() if value not in (None, "")}
    lost = [name for name in fields if name not in known]
    remarks = [f"{type_.name} has no {name}: it is left out" for name in lost]
    remarks += [f"{shown(key)} is left out: {type_.name} has no field for it" for key in extra]
    return {name: value for name, value in fields.items() if name not in lost}, remarks


def _is_plain(key: str, value: Any) -> bool:
    return not isinstance(value, SecretStr | Reference) and not _SECRETIVE.search(key)
