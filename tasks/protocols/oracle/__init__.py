"""Oracle Database: the listener by its own wire protocol (TNS), the login by python-oracledb's thin mode.

The listener is asked with our own bytes: which service, which instance, in what state, and where it sends its clients
on to are its words, and a driver hides them. The login and the questions after it are oracledb's, through our stream.
Source of numbers: "Oracle Database Error Messages"; of the packets: Oracle Net Services, as Wireshark's dissector and
python-oracledb read them.
"""

from tasks import sql_names
from tasks.protocols import Protocol
from tasks.protocols.oracle.answers import ANSWERS
from tasks.protocols.oracle.session import OracleSession

PROTOCOL = Protocol(name="oracle", title="Oracle", session=OracleSession, answers=ANSWERS, written=sql_names.quoted)
