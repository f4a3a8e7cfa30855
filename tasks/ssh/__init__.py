"""SSH as a client over any stream: host keys, private keys, one connection, and many channels over it."""

from registry.hostkeys import HostKey
from tasks.ssh.connection import SshConnection
from tasks.ssh.hostkeys import KnownKeys, given_keys, known_keys
from tasks.ssh.privatekeys import KeyUnusable, load_key

__all__ = ["HostKey", "KeyUnusable", "KnownKeys", "SshConnection", "given_keys", "known_keys", "load_key"]
