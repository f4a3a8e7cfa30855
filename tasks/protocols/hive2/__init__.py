"""HiveServer2: Thrift's binary protocol inside SASL frames, or bare.

Sources: Hive's `TCLIService.thrift`, "Thrift Binary protocol encoding", Thrift's `TSaslTransport` (frames: status,
length, payload), Hive's `ErrorMsg` for error codes. A client's first frames carry the password, and the server speaks
only after them: so a mechanism that no server has is asked for first, and its refusal tells who listens.
"""

from tasks import sql_names
from tasks.protocols import Protocol
from tasks.protocols.hive2.answers import ANSWERS
from tasks.protocols.hive2.session import HiveSession

PROTOCOL = Protocol(
    name="hive2", title="HiveServer2", session=HiveSession, answers=ANSWERS, written=sql_names.backticked
)
