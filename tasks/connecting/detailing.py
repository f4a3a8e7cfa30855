"""What a client is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from registry.connection import Connection


@dataclass(frozen=True)
class Details:
    """How to connect to a data source, for a client that `connect` does not know.

    Attributes:
        source: `workspace/name` of what is connected to.
        env: The side of it.
        secrets: Field -> value; shown as stars unless `get_secret_value` is called.
    """

    source: str
    env: str
    type: str
    protocol: str
    connection: Connection
    secrets: Mapping[str, SecretStr] = field(repr=False, default_factory=dict)
