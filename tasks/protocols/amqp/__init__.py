"""AMQP 0-9-1, as RabbitMQ speaks it.

Sources: the AMQP 0-9-1 specification (frames, methods, reply codes), RabbitMQ's "Authentication Failure Notifications"
and "Access control" pages. Reply codes decide; one (530) stands for three refusals of a virtual host, without any
field that parts them: there the server's words do, which RabbitMQ writes in English only.
"""

from tasks.protocols import Protocol
from tasks.protocols.amqp.answers import ANSWERS
from tasks.protocols.amqp.session import AmqpSession

PROTOCOL = Protocol(name="amqp", title="AMQP", session=AmqpSession, answers=ANSWERS)
