"""Lindorm by its seed server: its protocol is not public."""

from tasks.protocols import Protocol
from tasks.protocols.closed import ClosedSession


class LindormSession(ClosedSession):
    """One connection to one seed server."""

    lacking = "the protocol of Lindorm's seed server, which is not public (its MySQL interface is tested)"


PROTOCOL = Protocol(name="lindorm", title="Lindorm", session=LindormSession)
