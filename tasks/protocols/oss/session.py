"""One conversation with OSS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tasks.evidence import Recorder
from tasks.protocols import Unsupported
from tasks.protocols.s3.session import S3Session
from tasks.protocols.s3.signature import Request, oss1, oss4


class OssSession(S3Session):
    """One conversation with OSS."""

    marks = ("x-oss-request-id", "x-oss-server-time")
    bucket_domains = (".aliyuncs.com",)
    default_region = ""

    async def login(self, recorder: Recorder) -> None:
        if self.access.setting("auth_type") == "RamRole":
            raise Unsupported("an access identity that is a role (RamRole): only an access key can sign requests here")
        await super().login(recorder)

    def signature(self, request: Request) -> Mapping[str, str]:
        """Version 4 is for a region; where none is configured, version 1."""
        sign = oss4 if self.key.region else oss1
        return sign(request, self.key, datetime.now(UTC))
