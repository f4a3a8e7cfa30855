"""`headwater deploy`: the flows on a Prefect server."""

from __future__ import annotations


def deploy() -> int:
    """Put the flows on the Prefect server: deployments, schedules, and the choices of their forms."""
    from flows.deploy import deploy as put

    for said in put():
        print(said)
    return 0
