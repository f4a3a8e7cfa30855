"""MySQL's client/server protocol 10: MySQL, MariaDB and everything that speaks it.

The handshake is our own, because drivers give texts where the server gave numbers, and because it works over any
stream. It logs in without a database and enters that afterwards, so that the two can fail apart. Source of the
numbers: MySQL "Server Error Message Reference" and MariaDB knowledge base, "MariaDB Error Codes".
"""

from tasks.protocols import Protocol
from tasks.protocols.mysql.answers import ANSWERS
from tasks.protocols.mysql.names import literal, written
from tasks.protocols.mysql.session import MysqlSession

PROTOCOL = Protocol(
    name="mysql",
    title="MySQL",
    session=MysqlSession,
    answers=ANSWERS,
    greets_late="A server that looks its clients up in DNS and gets no answer there greets after seconds: test with "
    "--timeout 30, and set skip_name_resolve on it.",
    written=written,
    written_user=literal,
)
