"""What the cloud, or the inventory, says of the instance that a connection names."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "INSTANCE.NOT_FOUND",
        State.CONFIG_ERROR,
        Owner.USER,
        "The cloud or the inventory that was asked has no such instance in this region and account.",
        component="{instance} in {region}",
        message="{cloud} knows no instance {instance} in {region} ({cloud_error}): the id, the region or the owner's "
        "account is another.",
        remedy="Correct instance_id, region_id or cross_account_owner_id of {source}/{env}: the console of the "
        "instance shows all three.",
        rules=(
            Rule(
                "instance",
                {"cloud_answer": "not_found", "found_in": bool},
                rank=10,
                message="{cloud} knows no instance {instance} in {region}, but one of this id elsewhere: {found_in}.",
                remedy="Set {found_in} in {source}/{env}, or correct the id.",
            ),
            Rule(
                "instance",
                {"cloud_answer": "not_found", "cloud": "inventory"},
                rank=11,
                message="The inventory {cloud_api} has no instance {instance} in {region} of this account.",
                remedy="Add it to instances: region_id: {region}, instance_id: {instance}; or set cloud in "
                "{source}/{env} to the cloud that knows it.",
            ),
            Rule("instance", {"cloud_answer": "not_found"}, rank=12),
            Rule(
                "instance",
                {"no_endpoint": True},
                message="{cloud} has the instance {instance} in {region}, but no endpoint of it.",
                remedy="Let the owner of {instance} apply for an endpoint, or give {source}/{env} an address.",
            ),
        ),
    ),
    Cause(
        "INSTANCE.ROLE_DENIED",
        State.CONFIG_ERROR,
        Owner.PLATFORM,
        "The role cannot be assumed, or it, or our own identity, may not describe the instance.",
        component="{role}",
        message="{cloud} does not let the role {role} of the account {account} describe {instance} ({cloud_error} to "
        "{cloud_action}).",
        remedy="Let the account {account} have a role {role} that trusts our account and may read instances (for "
        "{cloud_action}), or correct cross_account_owner_id and cross_account_role_name of {source}/{env}.",
        rules=(
            Rule(
                "instance",
                {"cloud_answer": "denied", "cloud": "inventory"},
                rank=10,
                message="By the inventory {cloud_api} the role {role} of the account {account} may not describe "
                "{instance} ({cloud_error}).",
                remedy="Add {role} to the roles of the account {account} in the inventory, or correct "
                "cross_account_owner_id and cross_account_role_name of {source}/{env}.",
            ),
            Rule("instance", {"cloud_answer": "denied", "role": bool}, rank=11),
            Rule(
                "instance",
                {"cloud_answer": "denied"},
                rank=12,
                component="{cloud} identity of this machine",
                message="{cloud} does not let the identity of this machine describe {instance} ({cloud_error} to "
                "{cloud_action}).",
                remedy="Grant it {cloud_action} on {instance} in {region}; for an instance of another account set "
                "cross_account_owner_id and cross_account_role_name in {source}/{env}.",
            ),
        ),
    ),
    Cause(
        "INSTANCE.STOPPED",
        State.UNREACHABLE,
        Owner.DBA,
        "The cloud or the inventory reports that the instance is not running.",
        component="{instance}",
        message="The instance {instance} in {region} is not running, says {cloud}: {status}.",
        remedy="Start {instance}, or wait until {cloud} reports it as running.",
        rules=(Rule("instance", {"stopped": True}),),
    ),
)
