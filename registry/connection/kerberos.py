"""The files by which a client proves itself to Kerberos."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from registry.connection.fields import FileReference
from registry.connection.model import Connection

#: Components between slashes, perhaps a realm; `\\` takes from a character what it means (RFC 1964, section 2.1.1).
_PRINCIPAL = re.compile(r"(?:[^@/\\\s]|\\.)+(?:/(?:[^@/\\\s]|\\.)+)*(?:@(?:[^@/\\\s]|\\.)+)?")


def _principal(text: str) -> str:
    if not _PRINCIPAL.fullmatch(text):
        raise ValueError("no Kerberos principal: write app@EXAMPLE.COM or app/host.example.com@EXAMPLE.COM")
    return text


#: The name of a Kerberos principal, with or without its realm.
Principal = Annotated[str, AfterValidator(_principal)]


class KerberosFiles(Connection):
    """Login by a keytab (DataWorks: `kerberosFileConf`, `kerberosFileKeytab`, `principal`)."""

    kerberos_file_conf: FileReference | None = Field(
        default=None, description="The krb5.conf that names the realm and its KDCs.", examples=["file:/etc/krb5.conf"]
    )
    kerberos_file_keytab: FileReference | None = Field(
        default=None,
        description="The keytab of the principal: a file, or its base64.",
        examples=["file:/run/secrets/app.keytab"],
    )
    principal: Principal | None = Field(
        default=None,
        description="Principal that logs in; the user name in the default realm unless given.",
        examples=["app@EXAMPLE.COM"],
    )

    @model_validator(mode="after")
    def _files_together(self) -> Self:
        if (self.kerberos_file_conf is None) != (self.kerberos_file_keytab is None):
            raise ValueError("kerberos_file_conf and kerberos_file_keytab belong together: give both or none")
        return self
