"""The check itself could not come to an end, or must not be made."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

#: What the kernel says when this machine, not the network, has nothing left for another connection.
_EXHAUSTED = frozenset({"EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"})

_START_WORKER = "Start one: prefect worker start --pool {work_pool}."
_DEPLOY = "Put the flow there: headwater deploy."
_EXCHANGE_KEYS = "Exchange the keys again: headwater group show {resource_group} says how."
_READ_LOG = "Read the log of the run: {flow_run}."

#: Why a worker did not take the work: evidence ``agent`` -> component, message, remedy.
_AGENT = {
    "no-server": (
        "PREFECT_API_URL",
        "No Prefect server is named, so {resource_group} cannot be given work.",
        "Name it: export PREFECT_API_URL=http://127.0.0.1:4200/api.",
    ),
    "server-unreachable": (
        "{api}",
        "The Prefect server at {api}, which gives {resource_group} its work, cannot be reached ({http_error}).",
        "Start it with prefect server start, or correct PREFECT_API_URL.",
    ),
    "server-silent": (
        "{api}",
        "The Prefect server at {api} did not answer within {timeout_s} s.",
        "Look after the server and the way to it; PREFECT_API_URL names it.",
    ),
    "server-unauthorized": (
        "{api}",
        "The Prefect server at {api} does not accept our credentials (HTTP {http_status}).",
        "Set PREFECT_API_AUTH_STRING to USER:PASSWORD, or PREFECT_API_KEY, as the server wants.",
    ),
    "server-busy": (
        "{api}",
        "The Prefect server at {api} is too busy to answer (HTTP {http_status}).",
        "Test again; a server that is often busy needs PostgreSQL in the place of SQLite.",
    ),
    "server-error": (
        "{api}",
        "What is at {api} answers HTTP {http_status} instead of Prefect's interface.",
        "Correct PREFECT_API_URL, which ends in /api, or read the server's log.",
    ),
    "no-pool": (
        "work pool {work_pool}",
        "The Prefect server has no work pool {work_pool}.",
        "Make it with headwater deploy, or correct work_pool of {resource_group}.",
    ),
    "pool-paused": (
        "work pool {work_pool}",
        "The work pool {work_pool} is paused.",
        "Let it go on: prefect work-pool resume {work_pool}.",
    ),
    "pool-limit": (
        "work pool {work_pool}",
        "The work pool {work_pool} has a concurrency limit of 0.",
        "Lift it: prefect work-pool clear-concurrency-limit {work_pool}.",
    ),
    "no-queue": (
        "work queue {work_pool}/{work_queue}",
        "The work pool {work_pool} has no queue {work_queue}.",
        "Make it with headwater deploy, or correct work_queue of {resource_group}.",
    ),
    "queue-paused": (
        "work queue {work_pool}/{work_queue}",
        "The queue {work_queue} of the work pool {work_pool} is paused.",
        "Let it go on: prefect work-queue resume {work_queue} --pool {work_pool}.",
    ),
    "no-deployment": (
        "deployment {deployment}",
        "The flow that checks on behalf of {resource_group} is not deployed to {work_pool}.",
        _DEPLOY,
    ),
    "deployed-elsewhere": (
        "deployment {deployment}",
        "The flow that checks on behalf of {resource_group} is deployed to {deployed_to}, not to {work_pool}.",
        _DEPLOY,
    ),
    "no-worker": (
        "work pool {work_pool}",
        "The work pool {work_pool} has no worker.",
        _START_WORKER,
    ),
    "offline": (
        "work pool {work_pool}",
        "No worker of the work pool {work_pool} is online; one was last heard at {last_heartbeat}.",
        _START_WORKER,
    ),
    "not-heard": (
        "work pool {work_pool}",
        "Nothing has been heard of the workers of {work_pool} for {quiet_s} s; they beat every 30 s while they live.",
        _START_WORKER,
    ),
    "not-started": (
        "{flow_run}",
        "No worker of {work_pool} started the run within {start_timeout_s} s; it was {run_state}.",
        "Look whether the workers of {work_pool} are busy or cannot start processes: {flow_run}.",
    ),
    "overdue": (
        "{flow_run}",
        "The run on {work_pool} did not end within {limit_s} s.",
        _READ_LOG,
    ),
    "ended": (
        "{flow_run}",
        "The run on {work_pool} ended as {run_state}: {run_said}",
        _READ_LOG,
    ),
    "unanswered": (
        "{flow_run}",
        "The run on {work_pool} ended as {run_state} without a verdict over {source}.",
        "Install the same version of Headwater there and here, and test again; the run was {flow_run}.",
    ),
    "too-large": (
        "{source}",
        "What {source} needs to be checked is {kilobytes} KiB: more than Prefect takes in a parameter (512 KiB).",
        "Give smaller files: of the truststore, the authority alone that signed the server's certificate.",
    ),
    "no-box": (
        "public key of {resource_group}",
        "Nothing could be sealed for the worker of {resource_group}: {reason}.",
        "Correct it: {instruction}.",
    ),
    "box-keyless": (
        "{flow_run}",
        "The worker of {resource_group} has no key to open what is sealed to it.",
        "On its machine: headwater group keygen {resource_group}; HEADWATER_HOME is to be the worker's.",
    ),
    "box-untrusting": (
        "{flow_run}",
        "The worker of {resource_group} does not know this registry: it trusts none for this group.",
        "On its machine, type what headwater group show {resource_group} prints here.",
    ),
    "box-foreign": (
        "{flow_run}",
        "The worker of {resource_group} trusts another registry than this one.",
        "On its machine, type what headwater group show {resource_group} prints here, if it shall trust this one.",
    ),
    "box-other-key": (
        "{flow_run}",
        "The worker of {resource_group} has another key than the one that is registered.",
        "On its machine: headwater group keygen {resource_group}; then here what it prints.",
    ),
    "box-other-group": (
        "{flow_run}",
        "The worker was sent a box for another resource group than {resource_group}.",
        _EXCHANGE_KEYS,
    ),
    "box-tampered": (
        "{flow_run}",
        "What reached the worker of {resource_group} is not what was sealed here.",
        "Find out who changes runs on the Prefect server; then test again.",
    ),
    "box-expired": (
        "{flow_run}",
        "The worker of {resource_group} got the box after its time: {refused}.",
        "Test again; if it stays, set the clocks of both machines.",
    ),
    "box-early": (
        "{flow_run}",
        "By the clock of the worker of {resource_group} the box is from the future: {refused}.",
        "Set the clocks of both machines.",
    ),
    "box-replayed": (
        "{flow_run}",
        "The worker of {resource_group} was sent a box that it had opened before.",
        "Test again; a run that is started again by hand or by Prefect is refused so.",
    ),
    "box-unsealed": (
        "{flow_run}",
        "The worker of {resource_group} has a key and takes sealed boxes only; none is registered here.",
        "On its machine: headwater group keygen {resource_group}; then here what it prints.",
    ),
    "box-broken": (
        "{flow_run}",
        "The worker of {resource_group} could not use what it was sent: {refused}.",
        "Install the same version of Headwater there and here, and let the worker write to its HEADWATER_HOME.",
    ),
}

CAUSES = (
    Cause(
        "PROBE.AGENT_DOWN",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The resource group did not take the work, or had no descriptors, memory or local ports left for it; nothing "
        "is known about the data source.",
        component="{resource_group}",
        message="{resource_group} has nothing left for another connection ({errno}).",
        remedy="Check fewer sources at a time, or raise the limits of {resource_group} (ulimit -n).",
        rules=(
            Rule(None, {"errno": _EXHAUSTED}, rank=4),
            Rule("connect", {"errno": "EADDRNOTAVAIL"}, rank=4),
            *(
                Rule(None, {"agent": agent}, rank=3, component=component, message=message, remedy=remedy)
                for agent, (component, message, remedy) in _AGENT.items()
            ),
            Rule(
                "instance",
                {"cloud_answer": frozenset({"unreachable", "failing"})},
                component="the API of {cloud}",
                message="The API of {cloud} ({cloud_api}) could not be asked about {instance} ({cloud_error}); nothing "
                "is known about the data source.",
                remedy="Let the machine of {resource_group} reach {cloud_api}, or try again when {cloud} answers; "
                "ServiceUnavailable for one instance alone means another region or owner's account.",
            ),
        ),
    ),
    Cause(
        "PROBE.DEADLINE",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "Our own time ended while the peer was still progressing; it is not blamed on the peer.",
        component="{stage}",
        message="The time for this check ({timeout_s} s) ended in the stage {stage}, with {address}:{port} still at "
        "it.",
        remedy="Test with more time: headwater test {source} --timeout 30.",
        rules=(
            Rule(
                "instance",
                {"cloud_answer": "silent"},
                component="the API of {cloud}",
                message="{cloud} did not say within the time for this check ({timeout_s} s) where {instance} is.",
            ),
            Rule(None, {"broken": "silent", "mute": False}, rank=70),
            # A connection request is repeated after a second: silence that was not waited for proves nothing.
            Rule("connect", {"silent": True, "hasty": True}, rank=35),
            Rule(None, {"interrupted": True}, rank=90),
        ),
    ),
    Cause(
        "POLICY.FORBIDDEN_TARGET",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The address is one that tests may not be aimed at: link-local, a cloud's metadata service, or outside the "
        "ranges that the workspace permits.",
        component="{address}",
        message="Tests may not be aimed at {address}: {forbidden}.",
        remedy="Correct the address of {source}, or add it to permitted_ranges of the workspace {workspace}.",
        rules=(
            Rule(None, {"forbidden": bool}, rank=5),
            Rule(
                "route",
                {"forbidden": bool, "nobodys": True},
                rank=4,
                remedy="Correct the address of {source}, or what the name servers say of its name: no one host has "
                "{address}.",
            ),
        ),
    ),
)
