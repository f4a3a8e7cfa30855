"""What was configured is incomplete or malformed; nothing was sent anywhere."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

_TOLD = {"component": "{where}", "message": "{reason}", "remedy": "{instruction}"}

CAUSES = (
    Cause(
        "CONFIG.MISSING_FIELD",
        State.CONFIG_ERROR,
        Owner.USER,
        "A field that this type and connection mode require is not set.",
        **_TOLD,
        rules=(
            Rule("config", {"problem": "CONFIG.MISSING_FIELD"}),
            Rule("instance", {"problem": "CONFIG.MISSING_FIELD"}),
        ),
    ),
    Cause(
        "CONFIG.BAD_VALUE",
        State.CONFIG_ERROR,
        Owner.USER,
        "A value cannot be right whatever the network does: a port outside 1-65535, a host that is no host, a "
        "malformed URL, a word that is none of the choices, a CA file that holds no certificate.",
        **_TOLD,
        rules=(
            Rule("config", {"problem": "CONFIG.BAD_VALUE"}),
            Rule("instance", {"problem": "CONFIG.BAD_VALUE"}),
            Rule(
                None,
                {"bad_krb5_conf": bool},
                rank=6,
                component="kerberos_file_conf",
                message="What is given as kerberos_file_conf cannot be read as a krb5.conf: {bad_krb5_conf}.",
                remedy="Give the krb5.conf of the realm, with its [libdefaults] and [realms].",
            ),
            Rule(
                "tls",
                {"bad_file": "truststore_file"},
                rank=10,
                component="truststore_file",
                message="The CA file given as truststore_file holds no certificate in PEM form.",
                remedy="Give the CA's certificate in PEM form (-----BEGIN CERTIFICATE-----) as truststore_file.",
            ),
        ),
    ),
    Cause(
        "CONFIG.ENV_MISSING",
        State.CONFIG_ERROR,
        Owner.USER,
        "The data source has no configuration for this environment.",
        component="{source}/{env}",
        message="The data source {source} has no configuration for the environment {env}.",
        remedy="Add a {env} section to {source} in the file and apply it.",
        rules=(Rule("config", {"problem": "CONFIG.ENV_MISSING"}),),
    ),
    Cause(
        "CONFIG.SECRET_UNRESOLVED",
        State.CONFIG_ERROR,
        Owner.USER,
        "A secret reference resolves to nothing here, or no key of the keyring decrypts the stored secret.",
        **_TOLD,
        rules=(
            Rule("credentials", {}),
            # One that the resource group itself needs.
            Rule(None, {"tunnel": "secret"}, rank=2),
            Rule(
                "instance",
                {"cloud_answer": "no_credentials"},
                component="the credentials for {cloud}",
                message="There are no credentials here with which {cloud} could be asked about {instance}.",
                remedy="Give them as the SDK of {cloud} expects them (environment, configuration file or the role of "
                "this machine), or put {instance} into the inventory file.",
            ),
        ),
    ),
    Cause(
        "DRIVER.MISSING",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The module that speaks this protocol or reaches this kind of resource group, or one that it imports, is not "
        "installed; the innermost one is named. Or no probe goes on from the stage that was reached.",
        component="{missing_module}",
        message="Testing {type} needs {missing_module}, which is not installed here.",
        remedy="Install it: pip install 'headwater[{protocol}]'.",
        rules=(
            Rule(
                "instance",
                {"missing_module": bool, "extra": bool},
                rank=0,
                message="Asking {cloud} where {instance} is needs {missing_module}, which is not installed here.",
                remedy="Install it: pip install 'headwater[{extra}]'; or put {instance} into the inventory file.",
            ),
            Rule(
                "instance",
                {"unsupported_type": bool},
                rank=0,
                component="{cloud}",
                message="Headwater does not know how to ask {cloud} for an instance of type {type}.",
                remedy="Put {instance} into the inventory file, or give {source}/{env} its address: connection string "
                "mode (address or jdbc_url).",
            ),
            Rule(
                "config",
                {"problem": "DRIVER.MISSING"},
                rank=0,
                component="{where}",
                message="{reason}",
                remedy="{instruction}",
            ),
            Rule(
                None,
                {"missing_module": bool, "extra": bool},
                rank=1,
                remedy="Install it: pip install 'headwater[{extra}]'.",
            ),
            Rule(None, {"missing_module": bool}, rank=1),
            Rule(
                "greet",
                {"no_probe_for": bool},
                rank=0,
                component="{no_probe_for}",
                message="{address}:{port} accepts connections; whether {protocol_title} is behind it is untested: "
                "there is no probe for {no_probe_for}.",
                remedy="Try it with a client of the product itself; the way from {resource_group} to {address}:{port} "
                "is open.",
            ),
            Rule(
                None,
                {"no_probe_for": bool},
                rank=1,
                component="{no_probe_for}",
                message="{address}:{port} answers as {protocol_title}; what comes after that is untested: there is no "
                "probe for {no_probe_for}.",
                remedy="Try it with a client of the product itself; everything before the stage {stage} works from "
                "{resource_group}.",
            ),
        ),
    ),
)
