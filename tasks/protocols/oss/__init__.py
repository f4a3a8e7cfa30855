"""Alibaba Cloud OSS: S3's shape of requests and answers, with signatures and some codes of its own.

Sources: "Include a V4 signature in the Authorization header", "Include a V1 signature", "Error responses" of the OSS
API reference.
"""

from tasks.protocols import Protocol
from tasks.protocols.oss.session import OssSession
from tasks.protocols.s3.answers import ANSWERS

PROTOCOL = Protocol(name="oss", title="OSS", session=OssSession, answers=ANSWERS, fingerprint="HTTP")
