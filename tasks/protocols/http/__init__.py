"""HTTP/1.1 (RFC 9110, RFC 9112), over any stream. Statuses and challenges decide; bodies are never read for meaning.

Nothing secret is sent before the peer has answered a request without credentials as HTTP, and never to another origin
(scheme, host and port) than the configured one.
"""

from tasks.protocols import Protocol
from tasks.protocols.http.answers import ANSWERS
from tasks.protocols.http.survey import RestSession

PROTOCOL = Protocol(name="http", title="HTTP", session=RestSession, answers=ANSWERS)
