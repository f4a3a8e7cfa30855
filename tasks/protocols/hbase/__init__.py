"""HBase as its clients find it: a session with ZooKeeper, HBase's znodes, and the server that they name.

Sources: ZooKeeper's `zookeeper.jute` (records, error codes) and "Four Letter Words"; HBase's `ZooKeeper.proto` and the
class `ZNodePaths`.
"""

from tasks.protocols import Protocol
from tasks.protocols.hbase.answers import ANSWERS
from tasks.protocols.hbase.session import HBaseSession

PROTOCOL = Protocol(name="hbase", title="ZooKeeper", session=HBaseSession, answers=ANSWERS)
