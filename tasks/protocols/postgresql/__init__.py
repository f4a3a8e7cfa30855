"""PostgreSQL's frontend/backend protocol 3.0, and everything that speaks it.

The handshake is our own, because libpq hides the SQLSTATE and the server's routine when connecting fails, and because
it works over any stream. Source of the message formats: PostgreSQL documentation, chapter "Frontend/Backend Protocol".
"""

from tasks.protocols import Protocol
from tasks.protocols.postgresql.answers import ANSWERS
from tasks.protocols.postgresql.session import PostgresqlSession
from tasks.protocols.postgresql.wire import written

PROTOCOL = Protocol(
    name="postgresql",
    title="PostgreSQL",
    session=PostgresqlSession,
    answers=ANSWERS,
    fall_back_after=frozenset({"tls", "admit"}),
    written=written,
)
