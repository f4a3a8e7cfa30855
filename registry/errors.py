"""Errors meant for a person: what is wrong, where, and what to type next."""

from __future__ import annotations

from typing import Any


class HeadwaterError(Exception):
    """A problem the user can act on.

    Args:
        reason: What is wrong, one sentence. Never contains a secret.
        where: The place at fault: a field path (``retail/orders/dev.port``) or ``file.yaml:12:5``.
        instruction: What to do or type next.
        code: The root cause that it is in a verdict (`CONFIG.BAD_VALUE`), where there is one.
    """

    def __init__(self, reason: str, *, where: str = "", instruction: str = "", code: str = "") -> None:
        self.reason = reason
        self.where = where
        self.instruction = instruction
        self.code = code
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.instruction}" if self.instruction else ""
        return f"{place}{self.reason}{advice}"


class InvalidInput(HeadwaterError):
    """What was asked for is malformed or breaks a naming or schema rule."""


class InvalidInputs(InvalidInput):
    """Several faults of one input, all told at once."""

    def __init__(self, problems: list[InvalidInput]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class NotFound(HeadwaterError):
    """A name that the registry does not hold."""


class Conflict(HeadwaterError):
    """Somebody else changed the same thing since it was read."""


class Forbidden(HeadwaterError):
    """No role of the actor allows it. `record` is the row that the audit keeps of the refusal."""

    def __init__(self, reason: str, *, where: str, instruction: str, record: dict[str, Any]) -> None:
        self.record = record
        super().__init__(reason, where=where, instruction=instruction)


class SecretUnresolved(HeadwaterError):
    """A secret reference that resolves to nothing, or no key decrypts it (`CONFIG.SECRET_UNRESOLVED`)."""


class RegistryUnavailable(HeadwaterError):
    """The registry cannot be opened: read-only home, newer schema, keyring gone, database down."""
