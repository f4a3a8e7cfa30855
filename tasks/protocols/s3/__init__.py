"""Amazon S3's protocol: HTTP requests signed with an access key, answers with an error code in XML.

Sources: "Authenticating Requests (AWS Signature Version 4)" and "Error responses" of the Amazon S3 API Reference. The
secret itself never travels: what is sent is a signature of one request, good for some minutes.
"""

from tasks.protocols import Protocol
from tasks.protocols.s3.answers import ANSWERS
from tasks.protocols.s3.session import S3Session

PROTOCOL = Protocol(name="s3", title="S3", session=S3Session, answers=ANSWERS, fingerprint="HTTP")
