"""The credentials are not accepted. Which answer means which is in the table of each protocol."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule


def _by_the_kdc(*errors: int) -> tuple[Rule, ...]:
    """The same, said by a KDC (error numbers of RFC 4120, section 7.5.9)."""
    return (
        Rule(
            None,
            {"kerberos_error": frozenset(errors)},
            rank=6,
            component="{principal}",
            message="The KDC gives {principal} no ticket for {asked_for} ({server_said}).",
            remedy="Let the owner of the realm look at the principal: kadmin getprinc {principal}.",
        ),
    )


CAUSES = (
    Cause(
        "AUTH.BAD_CREDENTIALS",
        State.CONFIG_ERROR,
        Owner.USER,
        "User name and password do not fit: wrong, unknown or expired, where the protocol does not tell them apart.",
        component="{username}",
        message="{address}:{port} does not accept the credentials of {username}: wrong, unknown or expired.",
        remedy="Correct the user name or the password of {source}/{env}; then check that the account has not expired.",
    ),
    Cause(
        "AUTH.USER_UNKNOWN",
        State.CONFIG_ERROR,
        Owner.USER,
        "The server says that it has no such user.",
        component="{username}",
        message="{address}:{port} has no user {username}.",
        remedy="Correct the user name, or have {username} created on the server.",
    ),
    Cause(
        "AUTH.LOGIN_FORBIDDEN",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The user exists and may not log in.",
        component="{username}",
        message="{username} exists on {address}:{port}, but may not log in.",
        remedy="Let the DBA allow logins for {username}.",
        rules=(
            *_by_the_kdc(12),
            # Both sides have proved themselves: what is refused is not who logs in, but that he does.
            Rule(
                None,
                {"kerberos_refused": "account"},
                rank=-1,
                component="{principal}",
                message="{service_principal} has verified {principal}, and does not let it in ({server_said}).",
                remedy="Let the server's owner map {principal} to an account that may log in (auth_to_local).",
            ),
        ),
    ),
    Cause(
        "AUTH.EXPIRED_OR_LOCKED",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The server says that the account is locked or its password has expired.",
        component="{username}",
        message="The account {username} on {address}:{port} is locked, or its password has expired.",
        remedy="Let the DBA unlock {username} or set a new password, and store it in {source}/{env}.",
        rules=_by_the_kdc(1, 18, 23),
    ),
    Cause(
        "AUTH.METHOD_UNSUPPORTED",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The server asks for a way of authentication that this client or this configuration lacks.",
        component="{method}",
        message="{address}:{port} asks {username} to authenticate by {method}, which is not possible here.",
        remedy="Give {username} a method that clients with a password can use, or configure what {method} needs.",
        rules=_by_the_kdc(14),
    ),
    Cause(
        "AUTH.TOKEN",
        State.CONFIG_ERROR,
        Owner.USER,
        "A token or access key is unknown, expired, or its signature is wrong.",
        component="{username}",
        message="{address}:{port} does not accept the token.",
        remedy="Renew the token of {source}/{env}.",
        rules=(
            Rule(
                "instance",
                {"cloud_answer": "bad_credentials"},
                component="the credentials for {cloud}",
                message="{cloud} does not accept the access key or token that Headwater itself uses here "
                "({cloud_error}); nothing is known about {instance}.",
                remedy="Renew the credentials for {cloud} on the machine or worker of {resource_group}; those of "
                "{source}/{env} are not concerned.",
            ),
        ),
    ),
)
