"""HDFS' NameNode protocol: Hadoop RPC, version 9.

Sources: Hadoop's `RpcHeader.proto`, `IpcConnectionContext.proto`, `ClientNamenodeProtocol.proto` and `hdfs.proto`. The
class of an exception and the status of a response decide; nothing secret is ever sent.
"""

from tasks.protocols import Protocol
from tasks.protocols.hdfs.answers import ANSWERS
from tasks.protocols.hdfs.session import HdfsSession

PROTOCOL = Protocol(name="hdfs", title="Hadoop RPC", session=HdfsSession, answers=ANSWERS)
