"""What the tests of the flows work with."""

from tests.flows.cli_support import cli, empty_registry, retail
from tests.serving import postgresql, prefect_server, prefect_server_of_all, registry

__all__ = ["cli", "empty_registry", "postgresql", "prefect_server", "prefect_server_of_all", "registry", "retail"]
