"""What one environment entry of a data source holds, without the values of its secrets."""

from registry.connection.fields import Addresses, Endpoint, FileReference, Port, SecretReference
from registry.connection.model import Connection, Mode
from registry.connection.reading import EntryReading, read_entry, read_url
from registry.connection.tls import TlsSettings

__all__ = [
    "Addresses",
    "Connection",
    "Endpoint",
    "EntryReading",
    "FileReference",
    "Mode",
    "Port",
    "SecretReference",
    "TlsSettings",
    "read_entry",
    "read_url",
]
