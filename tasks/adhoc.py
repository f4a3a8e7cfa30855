"""A target from a URL typed a moment ago: tested before anything is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from registry import types, urls
from registry.connection import EntryReading, read_entry
from registry.errors import InvalidInput, InvalidInputs
from registry.parameters import RemovedParameter
from registry.verdict import Warning
from tasks.target import Target


def target_of_url(url: str, username: str | None, password: str | None, objects: tuple[str, ...]) -> Target:
    """What a JDBC or native URL names, with its password taken from the URL or given apart.

    Raises:
        InvalidInput: Nobody knows this kind of URL. One of a known kind that is malformed is a target with a problem.
        NotFound: It is of a product that is not in the catalogue.
    """
    type_ = types.get(urls.type_name(url))
    raw: dict[str, Any] = {"jdbc_url": url, "objects": list(objects)}
    raw |= {"username": username} if username else {}
    raw |= {"password": password} if password else {}
    reading, problem = None, None
    try:
        reading = read_entry(type_, raw, literals_allowed=True, where="url")
    except InvalidInputs as error:
        problem = error.problems[0]
    except InvalidInput as error:
        problem = error
    connection = reading.connection if reading else None
    return Target(
        workspace="",
        source=type_.name,
        type=type_.name,
        env="prod",
        resource_group="local",
        protocol=type_.protocol_of(connection) if connection is not None else "",
        default_port=type_.default_port,
        connection=connection,
        secrets=lambda: _literals(reading),
        warnings=removed(reading.removed) if reading else (),
        problem=problem,
        problem_code=(getattr(problem, "code", "") or "CONFIG.BAD_VALUE") if problem else "",
    )


def _literals(reading: EntryReading | None) -> Mapping[str, SecretStr]:
    """The values that stood in the URL, and those that its references name."""
    if reading is None:
        return {}
    found = dict(reading.literals)
    named = {field: ref for field, ref in reading.connection.secret_references().items() if field not in found}
    if named:
        from registry.secrets import resolve_field

        found |= {field: resolve_field(reading.connection, field, reference) for field, reference in named.items()}
    return found


def removed(parameters: tuple[RemovedParameter, ...]) -> tuple[Warning, ...]:
    """The warning for each URL parameter that the allow-list of the protocol took out."""
    return tuple(
        Warning(code="CONFIG.PARAM_REMOVED", message=f"the parameter {one.key} was removed: {one.why}")
        for one in parameters
    )
