"""Db2 (and Apache Derby's network server): Distributed Relational Database Architecture, DRDA.

Source of code points and codes: The Open Group, "DRDA Version 5", volume 3 (Distributed Data Management).
"""

from tasks import sql_names
from tasks.protocols import Protocol
from tasks.protocols.db2.answers import ANSWERS
from tasks.protocols.db2.session import Db2Session

PROTOCOL = Protocol(name="db2", title="Db2", session=Db2Session, answers=ANSWERS, written=sql_names.quoted)
