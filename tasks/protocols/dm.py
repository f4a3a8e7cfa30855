"""DM (Dameng): its protocol is not public."""

from tasks.protocols import Protocol
from tasks.protocols.closed import ClosedSession


class DmSession(ClosedSession):
    """One connection to one DM server."""

    lacking = "the protocol of DM, which is not public"


PROTOCOL = Protocol(name="dm", title="DM", session=DmSession)
