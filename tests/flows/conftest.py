"""What the tests of the flows work with."""

from tests.serving import postgresql, prefect_server, registry

__all__ = ["postgresql", "prefect_server", "registry"]
