"""Kerberos: the KDC, the clocks, the principals, the keytab (error numbers of RFC 4120, section 7.5.9)."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "AUTH.KERBEROS_KDC",
        State.CONFIG_ERROR,
        Owner.NETWORK,
        "No KDC of the realm answers, neither over UDP nor over TCP.",
        component="{kdcs}",
        message="No KDC of the realm {realm} answers {resource_group}: {kdc_outcomes}.",
        remedy="Allow UDP and TCP from {source_cidr} to {kdcs}, or correct the kdc lines of kerberos_file_conf.",
        rules=(
            Rule(
                None,
                {"kdc_unreachable": True, "kdc_refused": True},
                rank=5,
                message="No KDC of the realm {realm} listens where it should: {kdc_outcomes}.",
                remedy="Start the KDC at {kdcs}, or correct the kdc lines of kerberos_file_conf.",
            ),
            Rule(None, {"kdc_unreachable": True}, rank=6),
            Rule(
                None,
                {"no_kdc": True},
                rank=6,
                component="kerberos_file_conf",
                message="The krb5.conf of {source}/{env} names no KDC for the realm {realm}.",
                remedy="Add to its [realms]: {realm} = {{ kdc = HOST:88 }}.",
            ),
            Rule(
                None,
                {"kerberos_error": frozenset({29, 52})},
                rank=6,
                message="The KDC of {asked_for} cannot answer at the moment ({server_said}).",
                component="{asked_for}",
            ),
        ),
    ),
    Cause(
        "AUTH.KERBEROS_CLOCK",
        State.CONFIG_ERROR,
        Owner.PLATFORM,
        "The clocks of client and KDC, or client and server, differ by more than Kerberos allows (five minutes unless "
        "set otherwise).",
        component="{resource_group}",
        message="The clock of the KDC is {clock_skew_s} s off that of {resource_group}: more than Kerberos allows.",
        remedy="Let NTP set the clocks of {resource_group} and of the KDC.",
        rules=(
            Rule(
                None,
                {"kerberos_error": 37, "by_the_server": True},
                rank=5,
                component="{address}",
                message="The clock of {address} is {clock_skew_s} s off that of {resource_group}: more than Kerberos "
                "allows.",
                remedy="Let NTP set the clocks of {address} and of {resource_group}.",
            ),
            Rule(None, {"kerberos_error": 37}, rank=6),
            Rule(
                None,
                {"kerberos_error": frozenset({32, 33})},
                rank=6,
                message="The ticket is not valid at this time ({server_said}); the clock of the KDC is {clock_skew_s} "
                "s off that of {resource_group}.",
            ),
        ),
    ),
    Cause(
        "AUTH.KERBEROS_PRINCIPAL",
        State.CONFIG_ERROR,
        Owner.USER,
        "The KDC does not know the principal, that of the client or that of the service.",
        component="{principal}",
        message="The KDC does not know the principal {principal}.",
        remedy="Correct the principal of {source}/{env}, or have it made: kadmin addprinc -randkey {principal}.",
        rules=(
            Rule(None, {"kerberos_error": 6}, rank=6),
            Rule(
                None,
                {"kerberos_error": 7},
                rank=6,
                component="{asked_for}",
                message="The KDC does not know the service {asked_for}.",
                remedy="Write the host of {source}/{env} as the service's principal has it (no alias, no address), or "
                "have the principal made: kadmin addprinc -randkey {asked_for}.",
            ),
            Rule(
                None,
                {"kerberos_error": 68},
                rank=6,
                message="The realm of {principal} is another one ({server_said}).",
                remedy="Correct the realm of the principal of {source}/{env}.",
            ),
        ),
    ),
    Cause(
        "AUTH.KERBEROS_KEYTAB",
        State.CONFIG_ERROR,
        Owner.USER,
        "The keytab does not hold the key that the KDC has for the principal: another principal's, an older version, "
        "or no key of a usable type.",
        component="kerberos_file_keytab",
        message="The keytab of {source}/{env} (key versions {keytab_versions}) does not fit the key that the KDC has "
        "for {principal}: it was changed since the keytab was written.",
        remedy="Write the keytab anew: kadmin ktadd -k FILE {principal}; give the new file as kerberos_file_keytab.",
        rules=(
            Rule(None, {"kerberos_error": frozenset({24, 31})}, rank=6),
            Rule(None, {"key_does_not_fit": True}, rank=6),
            Rule(
                None,
                {"kerberos_error": frozenset({31, 35, 41, 44, 45}), "by_the_server": True},
                rank=5,
                component="{asked_for}",
                message="{address}:{port} cannot open the ticket for {asked_for} ({server_said}): its own keytab does "
                "not hold the key that the KDC has now.",
                remedy="On the server, write its keytab anew: kadmin ktadd -k FILE {asked_for}; then restart it.",
                owner=Owner.DBA,
            ),
            Rule(
                None,
                {"not_in_keytab": True},
                rank=6,
                message="The keytab of {source}/{env} has no key of {principal}; it has those of {keytab_principals}.",
                remedy="Set principal to one of these, or add the key: kadmin ktadd -k FILE {principal}.",
            ),
            Rule(
                None,
                {"which_principal": True},
                rank=6,
                message="No principal is configured for {source}/{env}, and the keytab has keys of these: "
                "{keytab_principals}.",
                remedy="Name the one that logs in: as principal, as the user name, or in the JAAS configuration, "
                "whichever {type} has.",
            ),
            Rule(
                None,
                {"no_usable_key": True},
                rank=6,
                message="The keytab of {source}/{env} has no key of a type that both the KDC and this client use "
                "(AES256, AES128, RC4).",
            ),
            Rule(
                None,
                {"bad_keytab": bool},
                rank=6,
                message="What is given as kerberos_file_keytab is no keytab: {bad_keytab}.",
                remedy="Give the file that `kadmin ktadd -k FILE` wrote: file:PATH.",
            ),
        ),
    ),
)
