"""MongoDB's wire protocol (OP_MSG), from MongoDB 3.6 on.

The exchange is our own: a driver hides which server of a replica set failed and how, and waits for a topology where one
answer is the diagnosis. Documents are packed by `bson`, which comes with PyMongo. Source of fields and codes: MongoDB
manual, "Wire Protocol", "hello", "Error Codes"; specifications, "Authentication".
"""

from tasks.protocols import Protocol
from tasks.protocols.mongodb.answers import ANSWERS
from tasks.protocols.mongodb.session import MongodbSession

PROTOCOL = Protocol(name="mongodb", title="MongoDB", session=MongodbSession, answers=ANSWERS)
