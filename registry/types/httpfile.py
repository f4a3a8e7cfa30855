"""HttpFile: files that a web server hands out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from registry.connection.fields import OwnBundle, from_json
from registry.connection.http import Headers, HttpWithHeaders
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.urls import http


def _headers(given: Any) -> Any:
    """DataWorks has the headers as a JSON object in a string."""
    return from_json("{}" if given == "" else given, 'a mapping of headers is needed, or JSON as in {"Accept": "*/*"}')


class ConnectionString(HttpWithHeaders):
    """The beginning of URLs, and the headers of requests."""

    url_scheme: ClassVar[str] = "httpfile"
    secret_mappings: ClassVar[tuple[str, ...]] = ("default_headers",)

    url_prefix: Annotated[str, AfterValidator(http.normal_url)] = Field(
        max_length=4096,
        description="http or https URL under which the files are, without credentials.",
        examples=["https://files.example.com/export"],
    )
    default_headers: Annotated[Headers, BeforeValidator(_headers)] = Field(
        default_factory=dict, examples=[{"Accept": "text/csv"}]
    )
    truststore_file: OwnBundle = None

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.url_prefix

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return "/".join(self.url_prefix.split("/")[3:])


TYPE = DataSourceType(
    name="httpfile",
    title="HttpFile",
    protocol="httpfile",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("http_file",),
    url_schemes=("httpfile",),
    example={"url_prefix": "https://files.example.com/export", "objects": ["orders.csv"]},
    tested="server",
    notes="Objects are files under the prefix; the first 16 KiB of each are read.",
)
