"""Kerberos 5 as a client (RFC 4120, RFC 4121): from a keytab to a token that a server accepts, over any vantage.

The system's library would open sockets of its own and hide the KDC's error codes; here every message goes through the
vantage's streams and datagrams, and every refusal is kept as the code that it is. The cryptography and the ASN.1 are
minikerberos'.
"""
