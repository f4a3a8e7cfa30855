"""Driver parameters by an allow-list: what is not known to be safe is taken out and reported.

One file a protocol, data only. The lists follow the published filter of `alibaba/seckit` (Apache-2.0), the block lists
of other tools, and the file-reading parameters of Python's drivers.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from registry.errors import InvalidInput
from registry.urls.normal import is_invisible, normal_key
from registry.urls.parsed import shown_key

#: What a value may look like unless its key says otherwise.
PLAIN = r"[a-zA-Z0-9_\-.:\[\]]+"

#: What a value of a permitted parameter may look like: anything visible, but for what starts a lookup elsewhere.
_PERMITTED_VALUE = re.compile(r"(?!.*(?:jndi|rmi|ldaps?|iiop|file|jar|https?|ftp)\s*:).{1,1024}", re.IGNORECASE)


def words(text: str) -> frozenset[str]:
    """Keys written one after another."""
    return frozenset(text.split())


@dataclass(frozen=True)
class AllowList:
    """The parameters of one protocol.

    Attributes:
        accepted: Keys that are kept, in the driver's own spelling.
        patterns: Key -> pattern of its value, where `PLAIN` does not fit.
        forced: Key -> the only value that it may have; no permit changes it.
        dangerous: Keys -> why no permit keeps them: they run code, read local files or go elsewhere.
    """

    accepted: frozenset[str] = frozenset()
    patterns: Mapping[str, str] = field(default_factory=dict)
    forced: Mapping[str, str] = field(default_factory=dict)
    dangerous: Mapping[str, str] = field(default_factory=dict)

    def spelling(self, key: str) -> str:
        """The driver's own spelling of a key, or the key."""
        return {known.lower(): known for known in (*self.accepted, *self.forced)}.get(key.lower(), key)

    def danger(self, key: str) -> str | None:
        """Why no permit keeps this key, None where one may."""
        folded = key.lower()
        if folded in {known.lower() for known in self.forced}:
            return "it endangers the client and is switched off"
        return {known.lower(): why for known, why in self.dangerous.items()}.get(folded)


@dataclass(frozen=True)
class RemovedParameter:
    """A parameter that was taken out (`CONFIG.PARAM_REMOVED`)."""

    key: str
    why: str


@dataclass(frozen=True)
class Filtered:
    """What the allow-list left.

    Attributes:
        kept: In the driver's own spelling.
        removed: The others; their values may be secrets and are not kept.
        forced: What a driver of this protocol is told in any case.
        forced_here: Those of `forced` that the input named.
    """

    kept: Mapping[str, str]
    removed: tuple[RemovedParameter, ...]
    forced: Mapping[str, str]
    forced_here: Mapping[str, str]


@cache
def allow_list(family: str) -> AllowList:
    """The list of a protocol; one without any list accepts nothing."""
    if not family.isidentifier() or importlib.util.find_spec(f"{__name__}.{family}") is None:
        return AllowList()
    found: AllowList = importlib.import_module(f"{__name__}.{family}").ALLOWED
    return found


def filter_parameters(family: str, properties: Mapping[str, Any], permitted: frozenset[str] = frozenset()) -> Filtered:
    """Sorts parameters into kept and removed.

    Keys are compared after blanks, tabs, invisible characters, case and every layer of percent-encoding are gone.

    Args:
        family: The protocol: ``mysql``, ``postgresql``...
        properties: As they stand in a file or URL.
        permitted: Keys that an audited permit keeps although no list has them.

    Raises:
        InvalidInput: A permit for a parameter that no permit may keep, or one given twice with different values.
    """
    listed = allow_list(family)
    permits = _checked_permits(listed, permitted)
    kept: dict[str, str] = {}
    removed: dict[str, RemovedParameter] = {}
    forced_here: dict[str, str] = {}
    for raw_key, raw_value in properties.items():
        value = _value(raw_value)
        try:
            key = listed.spelling(normal_key(str(raw_key)))
        except ValueError as error:
            removed[str(len(removed))] = RemovedParameter(shown_key(str(raw_key)), str(error))
            continue
        why = _objection(listed, key, value, permits)
        if key in listed.forced:
            forced_here[key] = listed.forced[key]
        if why is None and key not in listed.forced:
            if kept.setdefault(key, value) != value:
                raise _bad(f"{shown_key(key)} is given twice with different values", "keep one of the two")
        elif why is not None:
            removed[key] = RemovedParameter(shown_key(key), why)
    return Filtered(kept, tuple(removed.values()), dict(listed.forced), forced_here)


def safe_parameters(family: str, properties: Mapping[str, str]) -> dict[str, str]:
    """Parameters fit for a driver: without the dangerous ones, and with those forced that must be."""
    listed = allow_list(family)
    plain = {key: value for key, value in properties.items() if _harmless(listed, key)}
    return {**plain, **listed.forced}


def _harmless(listed: AllowList, key: str) -> bool:
    try:
        return listed.danger(normal_key(key)) is None
    except ValueError:
        return False


def _objection(listed: AllowList, key: str, value: str, permits: frozenset[str]) -> str | None:
    """Why a parameter may not stay, None if it may."""
    if key in listed.forced:
        right = listed.forced[key]
        return None if value.lower() == right else f"it endangers the client; forced to {right or 'nothing'}"
    if why := listed.danger(key):
        return why
    if key in listed.accepted:
        pattern = listed.patterns.get(key, PLAIN)
        return None if re.fullmatch(pattern, value) else "its value holds characters that it never needs"
    if key.lower() not in permits:
        return "not on the list of parameters known to be safe; a permit can keep it"
    if any(is_invisible(char) for char in value) or not _PERMITTED_VALUE.fullmatch(value):
        return "its value points elsewhere or holds invisible characters"
    return None


def _checked_permits(listed: AllowList, permitted: frozenset[str]) -> frozenset[str]:
    keys = {normal_key(key) for key in permitted}
    for key in sorted(keys):
        if why := listed.danger(key):
            raise _bad(f"no permit keeps {shown_key(key)}: {why}", "drop the permit")
    return frozenset(key.lower() for key in keys)


def _value(raw: Any) -> str:
    """YAML's true and 5 as a driver writes them."""
    return str(raw).lower() if isinstance(raw, bool) else str(raw).strip()


def _bad(reason: str, instruction: str) -> InvalidInput:
    return InvalidInput(reason, where="properties", instruction=instruction, code="CONFIG.BAD_VALUE")
