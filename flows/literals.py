"""Secrets that stand where references are meant: Prefect keeps parameters in clear, so these must hold none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from registry import types
from registry.connection.fields import REFERENCE_SCHEMES

#: What a parameter may hold in place of a secret; `stored:` secrets are made by the command line alone.
REFERENCE = rf"^({'|'.join(scheme for scheme in REFERENCE_SCHEMES if scheme != 'stored')}):."
#: A password in a URL: before the `@` of its host, or as one of its parameters.
CLEAR_URL = r"//[^/?#]*:[^/?#]*@|[?&;](password|passwd|pwd)[a-z0-9]*="
_URL_FIELDS = ("jdbcurl", "url")


def literals(entry: Mapping[str, Any]) -> list[str]:
    """The fields of an entry, as people write it, where a secret itself stands in place of a reference."""
    return [key for key, value in entry.items() if _is_literal(str(key), value)]


def _is_literal(key: str, value: Any) -> bool:
    squashed = key.replace("_", "").replace("-", "").strip().casefold()
    if squashed in _URL_FIELDS:
        return bool(re.search(CLEAR_URL, str(value), re.IGNORECASE))
    return squashed in _secret_keys() and value not in (None, "") and not re.match(REFERENCE, str(value))


def _secret_keys() -> set[str]:
    return {name.replace("_", "") for name in secret_fields()}


def secret_fields() -> set[str]:
    """The names of fields that hold references to secrets, in any type of the catalogue."""
    models = (model for type_ in types.catalogue().values() for model in type_.modes.values())
    return {name for model in models for name in model.sensitive_fields()}
