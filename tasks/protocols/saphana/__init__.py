"""SAP HANA's SQL command network protocol.

Source: SAP, "SAP HANA SQL Command Network Protocol Reference"; the digests as SAP's open clients compute them.
"""

from tasks import sql_names
from tasks.protocols import Protocol
from tasks.protocols.saphana.answers import ANSWERS
from tasks.protocols.saphana.session import SaphanaSession

PROTOCOL = Protocol(name="saphana", title="SAP HANA", session=SaphanaSession, answers=ANSWERS, written=sql_names.quoted)
