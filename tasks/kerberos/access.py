"""The Kerberos client of a data source, from its krb5.conf, its keytab and its principal."""

from __future__ import annotations

from tasks.evidence import StageFailed
from tasks.kerberos import keytab
from tasks.kerberos.client import Client
from tasks.kerberos.configuration import Configuration
from tasks.protocols import Access, Dial


def configured(access: Access) -> bool:
    """Whether the data source has what Kerberos needs."""
    return bool(access.secret("kerberos_file_conf") and access.secret("kerberos_file_keytab"))


def client_of(access: Access, dial: Dial) -> Client:
    """The client. The principal is the one configured, else the user name, in the default realm unless it names one.

    Raises:
        StageFailed: A file cannot be read, or the keytab has no key of the principal.
    """
    try:
        configuration = Configuration.parse(access.secret("kerberos_file_conf") or "")
    except ValueError as error:
        raise StageFailed(bad_krb5_conf=str(error)) from None
    try:
        keys = keytab.read(access.secret("kerberos_file_keytab") or "")
    except ValueError as error:
        raise StageFailed(bad_keytab=str(error)) from None
    principal = str(access.setting("principal") or access.setting("username", ""))
    identity = keytab.identity(keys, principal, configuration.default_realm)
    if not identity.keys:
        raise StageFailed(
            not_in_keytab=True, principal=identity.name, keytab_principals=sorted({key.principal for key in keys})
        )
    return Client(configuration, identity, dial)
