"""Redis' serialization protocol (RESP2), and everything that speaks it.

Sources: redis.io/docs "Redis serialization protocol specification", "ACL", and `server.c` (processCommand) for which
error word comes first. The first word of an error is a code; what follows it is for people and decides nothing.
"""

from tasks.protocols import Protocol
from tasks.protocols.redis.answers import ANSWERS
from tasks.protocols.redis.session import RedisSession

PROTOCOL = Protocol(name="redis", title="Redis", session=RedisSession, answers=ANSWERS)
