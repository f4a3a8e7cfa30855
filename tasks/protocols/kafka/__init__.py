"""Kafka's binary protocol.

Sources: "Kafka protocol guide" (framing, error codes) and the message definitions of Apache Kafka; KIP-43 and KIP-152
(SASL handshake and its error codes), KIP-896 (which versions brokers keep). Versions asked for here are those that
brokers from 0.11 to 4.x have in common; what a broker says of its versions decides.
"""

from tasks.protocols import Protocol
from tasks.protocols.kafka.answers import ANSWERS
from tasks.protocols.kafka.session import KafkaSession

PROTOCOL = Protocol(name="kafka", title="Kafka", session=KafkaSession, answers=ANSWERS)
