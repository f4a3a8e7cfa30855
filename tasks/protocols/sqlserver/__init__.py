"""SQL Server's Tabular Data Stream (TDS 7.4), and Azure SQL Database.

The exchange is our own: drivers hide which side refused TLS, and give the last of several errors where the first is
the cause. Source of bytes and numbers: [MS-TDS], and SQL Server's "Database Engine events and errors".
"""

from tasks import sql_names
from tasks.protocols import Protocol
from tasks.protocols.sqlserver.answers import ANSWERS
from tasks.protocols.sqlserver.session import SqlserverSession

PROTOCOL = Protocol(
    name="sqlserver", title="SQL Server", session=SqlserverSession, answers=ANSWERS, written=sql_names.bracketed
)
