"""Log in as a check does, then survey instead of reading the bound objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from registry.verdict import Verdict
from tasks import diagnosis
from tasks.check import probe
from tasks.comparison.survey import Survey, Wanted
from tasks.evidence import Recorder
from tasks.protocols import Protocol
from tasks.target import Target
from tasks.vantages import Vantage


@dataclass(frozen=True)
class Surveyed:
    """One environment: the survey, or None and the verdict over what kept us from it."""

    survey: Survey | None
    verdict: Verdict


async def survey(target: Target, vantage: Vantage, wanted: Wanted, *, timeout: float = 15.0) -> Surveyed:
    """Survey one environment of one data source from one vantage.

    Args:
        timeout: Seconds for all of it; it ends within 0.5 s more.
    """
    found: list[Survey] = []

    async def surveyed(session: Any, recorder: Recorder) -> None:
        found.append(await session.survey(wanted))

    def adapt(protocol: Protocol) -> Protocol:
        session = type("Surveying", (protocol.session,), {"privilege": surveyed})
        return replace(protocol, session=session)

    probed = await probe(target, vantage, timeout=timeout, adapt=adapt)
    verdict = diagnosis.diagnose(target, probed.trace, started_at=probed.started_at, elapsed_ms=probed.elapsed_ms)
    return Surveyed(found[0] if found else None, verdict)
