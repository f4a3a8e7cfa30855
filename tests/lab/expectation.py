"""What every verdict must fulfil, and what one scenario expects of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry.verdict import INCONCLUSIVE, STAGES, State, Status, Verdict
from tests.lab.matrix import Matrix, Row
from tests.lab.servers import PASSWORD, WRONG_PASSWORD
from tests.stopwatch import Late

#: The lab's own numbers differ from run to run; the matrix shows what they stand for.
_ADDRESS = re.compile(r"\b(10\.77\.(2|12)|25\.77\.[01])\.\d+\b|\b(fd77:2|2a77:77)::(1:)?[0-9a-f]+\b")


def check_invariants(verdict: Verdict, *, secrets: Sequence[str] = ()) -> None:
    """The rules that hold for every verdict, whatever the scenario."""
    said = verdict.model_dump_json()
    for secret in (PASSWORD, WRONG_PASSWORD, *secrets):
        assert secret not in said, f"a secret stands in the verdict: {said}"
    names = [stage.name for stage in verdict.stages]
    assert names == sorted(names, key=STAGES.index), f"stages out of order: {names}"
    assert len(set(names)) == len(names), f"a stage stands twice: {names}"
    assert (verdict.cause == INCONCLUSIVE) == bool(verdict.alternatives), f"{verdict.cause} with {verdict.alternatives}"
    assert verdict.elapsed_ms >= 0
    statuses = {stage.name: stage.status for stage in verdict.stages}
    if verdict.state is State.CONNECTABLE:
        assert verdict.cause is None
        assert Status.FAILED not in statuses.values(), f"connectable with a failed stage: {statuses}"
        assert statuses.get("privilege") in (Status.PASSED, Status.WARNED), f"nothing was read: {statuses}"
    else:
        assert verdict.cause, "a verdict that is not Connectable names its cause"
        assert verdict.component, "the thing at fault is named"
        assert verdict.message.strip(), "what is wrong is said"
        assert verdict.remedy.strip(), "what to do is said"
        assert Status.FAILED in statuses.values(), f"no failed stage: {statuses}"


class Expectation:
    """Compares a verdict with what the scenario is about, and records it in the matrix."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix

    def __call__(
        self, verdict: Verdict, kind: str, *, code: str | None, state: State | str, component: str = "", within: float,
        alternatives: Sequence[str] = (), warnings: Sequence[str] = (), owner: str = "", language: str = "en",
        remedy: str = "", secrets: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Assert a verdict.

        Args:
            kind: The fault in a few words, as it stands in the matrix.
            code: The expected cause; None for a connectable source.
            state: The expected state.
            component: Text that the component must contain.
            within: Seconds that the check may have taken.
            alternatives: Expected codes of an inconclusive verdict, in any order.
            warnings: Codes that must be among the warnings.
            owner: The expected owner; empty to accept any.
            language: What the server speaks.
            remedy: Text that the remedy must contain.
            secrets: Values that may stand nowhere in the verdict; the lab's own password is always one of them.
        """
        shown = verdict.model_dump_json(indent=1)
        check_invariants(verdict, secrets=secrets)
        assert (verdict.cause, verdict.state.value) == (code, str(state)), shown
        assert set(verdict.alternatives) == set(alternatives), shown
        assert component in verdict.component, shown
        assert remedy in verdict.remedy, shown
        assert not owner or verdict.owner == owner, shown
        assert set(warnings) <= {warning.code for warning in verdict.warnings}, shown
        if verdict.elapsed_ms > within * 1000:
            raise Late(f"took {verdict.elapsed_ms:.0f} ms, allowed {within} s\n{shown}")
        said = verdict.cause or "-"
        if verdict.alternatives:
            said = f"{said}: {' or '.join(sorted(verdict.alternatives))}"
        component = _ADDRESS.sub("HOST", verdict.component)
        seconds = round(verdict.elapsed_ms / 1000, 2)
        self._matrix.record(Row(verdict.type, kind, language, said, verdict.state.value, component, seconds))
