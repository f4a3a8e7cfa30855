"""Real servers of stores, queues and caches; the pattern is that of `servers`."""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.certificates import Certificate
from tests.lab.network import Network
from tests.lab.servers import Server

#: The access key of `app` where there are access keys; its secret is `PASSWORD`.
ACCESS_ID = "AKIAIOSFODNN7EXAMPLE"


class S3(Server):
    """moto's server, which checks signatures and policies: bucket `orders` with `daily/1.csv` and `monthly/1.csv`.

    `app` may list the bucket and read `daily/`; `reader` may read `daily/` and list nothing.
    """

    port = 80

    def __init__(self, network: Network, name: str, *, tls: Certificate | None = None) -> None:
        if tls:
            self.port = 443  # type: ignore[misc]
        #: Account -> id and secret of its access key.
        self.keys: dict[str, tuple[str, str]] = {}
        super().__init__(network, name, tls=tls)

    def arguments(self) -> Sequence[str]:
        tls = [str(self.tls.certificate), str(self.tls.key)] if self.tls else []
        program = str(Path(__file__).with_name("object_store.py"))
        # A host's first label is no bucket.
        return ["env", "S3_IGNORE_SUBDOMAIN_BUCKETNAME=true", sys.executable, program, self.v4, str(self.port), *tls]

    def start(self) -> None:
        super().start()
        with self.network.inside("server"):
            store, accounts = self._client("s3"), self._client("iam")
            for bucket in ("orders", "empty", "closed"):
                store.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            for key in ("daily/1.csv", "monthly/1.csv"):
                store.put_object(Bucket="orders", Key=key, Body=b"id\n1\n")
            listing = _allow("s3:ListBucket", "arn:aws:s3:::o*", "arn:aws:s3:::empty")
            reading = _allow("s3:GetObject", "arn:aws:s3:::orders/daily/*")
            for user, statements in {"app": [listing, reading], "reader": [reading]}.items():
                accounts.create_user(UserName=user)
                policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
                accounts.put_user_policy(UserName=user, PolicyName="orders", PolicyDocument=policy)
                key = accounts.create_access_key(UserName=user)["AccessKey"]
                self.keys[user] = (key["AccessKeyId"], key["SecretAccessKey"])
            # From now on every request is checked.
            context = ssl._create_unverified_context() if self.tls else None
            plain = {"content-type": "text/plain"}
            request = urllib.request.Request(f"{self.url()}/moto-api/reset-auth", data=b"0", headers=plain)
            urllib.request.urlopen(request, context=context).close()

    def _client(self, service: str) -> Any:
        import boto3

        return boto3.client(
            service, endpoint_url=self.url(), region_name="eu-west-1", verify=False,
            aws_access_key_id="setup", aws_secret_access_key="setup",
        )  # fmt: skip

    def url(self, host: str = "") -> str:
        """The endpoint, by name or by number."""
        return f"{'https' if self.tls else 'http'}://{host or self.v4}"


def _allow(action: str, *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": list(resources)}
