"""ClickHouse: its HTTP interface and its native protocol, which share their error codes.

Sources: "HTTP interface" and "Native protocol" of ClickHouse's documentation, and its `ErrorCodes.cpp`. The native
protocol carries the password in its first packet: a greeting without any is exchanged before, on a connection of its
own, so that only a ClickHouse ever sees it.
"""

from tasks.protocols import Protocol
from tasks.protocols.clickhouse.answers import ANSWERS
from tasks.protocols.clickhouse.session import ClickHouseSession, written

PROTOCOL = Protocol(name="clickhouse", title="ClickHouse", session=ClickHouseSession, answers=ANSWERS, written=written)
