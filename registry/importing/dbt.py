"""dbt's `profiles.yml`: a data source a profile, its targets the sides.

    PROFILE: {target: dev, outputs: {dev: {type, host, user, password, port, dbname, ...}, prod: {...}}}

A password from `{{ env_var('NAME') }}` becomes the reference `env:NAME`. Anything else from the environment is looked
up when the file is read, as dbt does; a default in the file stands in (dbt documentation, "env_var").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from registry.importing import Context, Format, Item, NotTaken, Taken
from registry.importing.builders import Reference
from registry.importing.mapping import fields_of, type_of
from registry.importing.parts import Parts, secret, text

#: Names of targets -> sides.
_SIDES: Mapping[str, str] = {
    **dict.fromkeys(("dev", "develop", "development"), "dev"),
    **dict.fromkeys(("prod", "prd", "production", "live"), "prod"),
}

_HOST = ("host", "server", "hostname")
_DATABASE = ("dbname", "database", "db", "catalog")
_USER = ("user", "username", "uid", "UID")
_PASSWORDS = ("password", "pass", "PWD", "pwd")
_SECRETS = (
    *_PASSWORDS,
    "private_key",
    "private_key_passphrase",
    "keyfile_json",
    "access_key_secret",
    "token",
    "client_secret",
    "refresh_token",
    "aws_secret_access_key",
    "aws_session_token",
)
#: What is about dbt's work, not about the connection.
_ITS_OWN = (
    "type",
    "threads",
    "schema",
    "retries",
    "driver",
    "method",
    "authentication",
    "keepalives_idle",
    "connect_timeout",
    "target",
    "search_path",
    "custom_schema",
    "port",
    "dataset",
    "location",
    "priority",
    "timeout_seconds",
    "job_execution_timeout_seconds",
    "job_retries",
    "maximum_bytes_billed",
    "client_session_keep_alive",
    "query_tag",
    "reuse_connections",
    "connect_retries",
)

_ENV_VAR = re.compile(
    r"""\{\{-?\s*env_var\(\s*(?P<q>['"])(?P<name>[^'"]+)(?P=q)\s*"""
    r"""(?:,\s*(?:default\s*=\s*)?(?:(?P<d>['"])(?P<default>[^'"]*)(?P=d)|(?P<bare>[\w.]+))\s*)?\)"""
    r"""\s*(?:\|\s*\w+\s*(?:\([^()]*\)\s*)?)*-?\}\}"""
)


def _recognises(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    profiles = [one for name, one in data.items() if name != "config"]
    return bool(profiles) and all(isinstance(one, dict) and isinstance(one.get("outputs"), dict) for one in profiles)


def _items(data: Any, context: Context) -> Iterator[Item]:
    for profile, raw in data.items() if isinstance(data, dict) else ():
        outputs = raw.get("outputs") if isinstance(raw, dict) else None
        if profile == "config":
            continue
        if not isinstance(outputs, dict):
            yield Item((profile,), profile, _no_outputs)
            continue
        for target, output in outputs.items():
            side = _SIDES.get(target.lower()) or (context.side if len(outputs) == 1 else "")
            yield Item(
                (profile, "outputs", target),
                profile,
                lambda side=side, target=target, output=output: _taken(side, target, output, context),  # type: ignore[misc]
            )


def _no_outputs() -> Taken:
    raise NotTaken("the profile has no outputs")


def _taken(side: str, target: str, raw: Any, context: Context) -> Taken:
    if not isinstance(raw, dict):
        raise NotTaken("it is no mapping of fields")
    if not side:
        return Taken("", {}, remarks=[f"the target {target!r} is neither dev nor prod: it is left out"])
    type_ = type_of(raw.get("type"))
    if type_.name == "hive" and text(raw.get("method")) not in ("", "thrift"):
        raise NotTaken(f"its method is {text(raw['method'])[:20]}: HiveServer2 speaks thrift alone")
    plain = {key: _plain(key, value, context) for key, value in raw.items() if key not in _SECRETS}
    hidden = {key: _hidden(raw[key], context) for key in _SECRETS if key in raw}
    used = {*_HOST, *_DATABASE, *_USER, *_SECRETS, *_ITS_OWN}
    extra = {key: value for key, value in plain.items() if key not in used and text(value)}
    extra |= {key: value for key, value in hidden.items() if key not in _PASSWORDS and value}
    if type_.name in ("bigquery", "snowflake"):
        extra |= {key: plain[key] for key in ("database",) if key in plain}
    parts = Parts(
        host=_first(plain, _HOST),
        port=plain.get("port"),
        database=_first(plain, _DATABASE) or (text(plain.get("schema")) if type_.protocol in _SCHEMA_IS_ALL else ""),
        username=_first(plain, _USER),
        password=next((hidden[key] for key in _PASSWORDS if hidden.get(key)), None),
        extra=extra,
    )
    fields, remarks = fields_of(type_, parts)
    return Taken(type_.name, {side: fields}, remarks=[*remarks, *_lost_defaults(raw)])


def _lost_defaults(raw: Mapping[str, Any]) -> Iterator[str]:
    """What stood in for a variable that is not set; a reference knows no such thing."""
    for key in _SECRETS:
        match = _ENV_VAR.fullmatch(value.strip()) if isinstance(value := raw.get(key), str) else None
        if match and (match["default"] or match["bare"]):
            yield f"the default of {key} (not shown) is left out: set {match['name']}"


#: Protocols whose adapters name the database `schema`.
_SCHEMA_IS_ALL = ("mysql", "clickhouse", "hive")


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((found for name in names if (found := text(given.get(name)))), "")


def _plain(key: str, value: Any, context: Context) -> Any:
    if not isinstance(value, str) or "{{" not in value:
        return value

    def put(match: re.Match[str]) -> str:
        name = match["name"]
        bare = None if match["bare"] in ("none", "None") else match["bare"]
        known = context.environment.get(name, match["default"] if match["default"] is not None else bare)
        if known is None:
            advice = f"export {name}=... before importing, as for dbt itself"
            raise NotTaken(f"{key} is read from the environment variable {name}, which is not set", advice)
        return known

    filled = _ENV_VAR.sub(put, value)
    if "{{" in filled:
        raise NotTaken(f"{key} is computed by Jinja that is not understood here", "write the value itself")
    return filled


def _hidden(value: Any, context: Context) -> SecretStr | Reference | None:
    if isinstance(value, str) and "{{" in value:
        match = _ENV_VAR.fullmatch(value.strip())
        if match is None:
            raise NotTaken("its password is computed by Jinja that is not understood here", "use one env_var alone")
        return Reference(f"env:{match['name']}")
    if isinstance(value, Mapping):
        return SecretStr(json.dumps({key: _plain(key, inner, context) for key, inner in value.items()}))
    return secret(value)


FORMAT = Format("dbt", "profiles.yml of dbt", _recognises, _items)
