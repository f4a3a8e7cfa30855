"""Going where a server sends its clients on to, and which cause it asserts when nobody is there.

A listener that hands over to another host (Oracle), a gateway in front of the servers (Azure SQL Database): the address
in the configuration works, the one behind it must be reached from here too.
"""

from __future__ import annotations

from registry.verdict import INCONCLUSIVE
from tasks.evidence import StageFailed
from tasks.protocols import Answer, Dial
from tasks.streams import Stream
from tasks.vantages import ConnectFailed

_REMEDY = "Open the way from {resource_group} to {redirected_to} too: {address}:{port} sends its clients there."


async def redirected(dial: Dial, host: str, port: int) -> Stream:
    """A stream to where a server sends us. Raises `StageFailed` with `redirected_to`."""
    try:
        return await dial(port, host=host)
    except (ConnectFailed, StageFailed) as failure:
        raise StageFailed(**{**failure.evidence, "redirected_to": f"{host}:{port}"}) from None


def _answer(code: str, message: str, alternatives: tuple[str, ...] = (), **when: object) -> Answer:
    return Answer(
        code,
        {"redirected_to": bool, **when},
        alternatives=alternatives,
        component="{redirected_to}",
        message="{address}:{port} sends its clients on to {redirected_to}, " + message,
        remedy=_REMEDY,
    )


ANSWERS = (
    _answer("PORT.CLOSED", "which refuses the connection.", errno="ECONNREFUSED"),
    _answer("DNS.NXDOMAIN", "a name that does not exist here.", rcode="NXDOMAIN"),
    _answer("DNS.NO_ADDRESS", "a name without an address here.", rcode="NOERROR"),
    _answer("DNS.SERVER_FAILURE", "a name that cannot be resolved here ({rcode}).", rcode=bool),
    _answer(
        INCONCLUSIVE,
        "where nobody answers from here.",
        alternatives=("FILTER.DROP", "HOST.DOWN", "ROUTE.NONE"),
        forbidden=lambda reason: not reason,
        broken=lambda how: not how,
    ),
)
