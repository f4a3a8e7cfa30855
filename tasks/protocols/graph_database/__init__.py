"""Gremlin over WebSocket: TinkerPop's Gremlin Server, and graph databases with its interface.

Source: Apache TinkerPop, "Provider Documentation", Graph Driver Provider Requirements. WebSocket itself (RFC 6455) is
`websockets`', which opens no socket of its own here.
"""

from tasks.protocols import Protocol
from tasks.protocols.graph_database.answers import ANSWERS
from tasks.protocols.graph_database.session import GremlinSession

PROTOCOL = Protocol(name="graph_database", title="Gremlin", session=GremlinSession, answers=ANSWERS, fingerprint="HTTP")
