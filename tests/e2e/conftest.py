"""What the tests in the browser work with."""

from tests.serving import postgresql, prefect_server, registry

__all__ = ["postgresql", "prefect_server", "registry"]
