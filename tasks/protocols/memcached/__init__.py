"""Memcached: the text protocol, and the binary one where a login is asked for.

Sources: memcached's `protocol.txt` and `protocol_binary.txt`, and "SASLAuthProtocol" of its wiki. A server with SASL
speaks binary only and hangs up on text; one with an authentication file speaks text only.
"""

from tasks.protocols import Protocol
from tasks.protocols.memcached.answers import ANSWERS
from tasks.protocols.memcached.session import MemcachedSession

PROTOCOL = Protocol(name="memcached", title="Memcached", session=MemcachedSession, answers=ANSWERS)
