"""FTP (RFC 959, 2428, 3659) and FTP over TLS (RFC 4217); port 990 speaks TLS from the first byte.

Reply codes decide; a server's words are for people. FTP has one code (550) for "is not there" and "may not", so a
second question is asked wherever the two have to be told apart.
"""

from tasks.protocols import Protocol
from tasks.protocols.ftp.answers import ANSWERS
from tasks.protocols.ftp.session import FtpSession

PROTOCOL = Protocol(name="ftp", title="FTP", session=FtpSession, answers=ANSWERS)
