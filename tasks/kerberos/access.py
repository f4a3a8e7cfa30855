"""The Kerberos client of a data source, from its krb5.conf, its keytab and its principal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.evidence import StageFailed
from tasks.kerberos import keytab
from tasks.kerberos.configuration import Configuration
from tasks.protocols import Access, Dial

if TYPE_CHECKING:
    from tasks.kerberos.client import Client


def configured(access: Access) -> bool:
    """Whether the data source has what Kerberos needs."""
    return bool(access.secret("kerberos_file_conf") and access.secret("kerberos_file_keytab"))


def client_of(access: Access, dial: Dial, principal: str | None = None) -> Client:
    """The client of a data source.

    Args:
        principal: Who logs in, in the default realm unless it names one; unless given, the one configured or the user
            name. Without any, ``""`` among them, it is the one that the keytab is of.

    Raises:
        StageFailed: A file cannot be read, or the keytab has no key of the principal, or keys of several to choose
            from, or what is needed is not installed.
    """
    try:
        from tasks.kerberos.client import Client
    except ModuleNotFoundError as missing:
        raise StageFailed(missing_module=missing.name, extra="kerberos") from None
    try:
        configuration = Configuration.parse(access.secret("kerberos_file_conf") or "")
    except ValueError as error:
        raise StageFailed(bad_krb5_conf=str(error)) from None
    keys = _keys(access)
    owners = sorted({key.principal for key in keys})
    if principal is None:
        principal = str(access.setting("principal") or access.setting("username", ""))
    if not principal:
        if len(owners) != 1:
            raise StageFailed(which_principal=True, keytab_principals=owners)
        principal = owners[0]
    identity = keytab.identity(keys, principal, configuration.default_realm)
    if not identity.keys:
        raise StageFailed(not_in_keytab=True, principal=identity.name, keytab_principals=owners)
    return Client(configuration, identity, dial)


def keytab_has(access: Access, principal: str) -> bool:
    """Whether the keytab has a key of a principal, realm and all. Raises `StageFailed` as `client_of` does."""
    return any(key.principal == principal for key in _keys(access))


def _keys(access: Access) -> tuple[keytab.LongTermKey, ...]:
    try:
        return keytab.read(access.secret("kerberos_file_keytab") or "")
    except ValueError as error:
        raise StageFailed(bad_keytab=str(error)) from None
