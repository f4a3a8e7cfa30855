"""`docs/root-causes.md`, made from the catalogue and from the tables of the protocols."""

from __future__ import annotations

import pkgutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from registry.verdict import INCONCLUSIVE, Owner
from tasks import perspectives, protocols
from tasks.causes import Cause, Rule, catalogue

_INTRODUCTION = """\
# Root causes

Made by `scripts/generate_causes_doc.py` from the catalogue in `tasks/causes/`; do not edit it by hand.

A verdict names one cause, or `INCONCLUSIVE` with the causes that the evidence could not exclude. Causes rest on what
protocols and the network say in fields (errno, ICMP type, DNS rcode, SQLSTATE, TLS verify code), never on
the words of a message. Codes are added, never renamed. Words in braces stand for what was observed.
"""

_TOGETHER = """\
## Several resource groups, and the past

The verdicts of all resource groups over one data source are held against each other, and each against the last one
from there that was Connectable. The failed stage then says which groups decided (`decided_by`, `others_saw`), until
when it worked (`last_worked_at`) and what is different since (`changed_since`). What a peer said is never outweighed by
what others did not see, and a group that could not test decides nothing.
"""

_OWNERS = {
    Owner.USER: "whoever configured the data source",
    Owner.DBA: "the administrator of the server",
    Owner.NETWORK: "the network's administrator",
    Owner.PLATFORM: "whoever runs Headwater",
}


def markdown() -> str:
    """The page: every cause with its meaning, its evidence and what to do about it."""
    told_by = _told_by()
    parts = [_INTRODUCTION, *_overview()]
    for cause in catalogue().values():
        parts += _cause(cause, told_by.get(cause.code, []))
    parts += _together()
    return "\n".join(parts)


def _told_by() -> Mapping[str, list[str]]:
    """Code -> the protocols whose peers say so in an answer of their own."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for module in pkgutil.iter_modules(protocols.__path__):
        try:
            protocol = protocols.load(module.name)
        except (ModuleNotFoundError, AttributeError):
            continue  # a part of a protocol, or one whose extra is not installed
        for code in dict.fromkeys(answer.code for answer in protocol.answers):
            found[code].append(protocol.title)
    return found


def _overview() -> Iterator[str]:
    yield "| code | state | who can fix it |"
    yield "|---|---|---|"
    for cause in catalogue().values():
        anchor = cause.code.lower().replace(".", "")
        state, owner = cause.state.value, _OWNERS[cause.owner]
        if cause.code == INCONCLUSIVE:
            state, owner = "that of its first alternative", "as for its first alternative"
        yield f"| [`{cause.code}`](#{anchor}) | {state} | {owner} |"
    yield ""


def _cause(cause: Cause, told_by: list[str]) -> Iterator[str]:
    yield f"## {cause.code}\n"
    yield f"{cause.meaning}\n"
    yield f"- says: {cause.message}"
    yield f"- at fault: {cause.component}"
    yield f"- to do: {cause.remedy}"
    if told_by:
        yield f"- told by the peers themselves: {', '.join(told_by)}"
    yield ""
    if cause.rules:
        yield "| stage | evidence | it says instead |"
        yield "|---|---|---|"
        yield from (_row(rule) for rule in cause.rules)
        yield ""


def _together() -> Iterator[str]:
    yield _TOGETHER
    yield "| rule | what is seen | it |"
    yield "|---|---|---|"
    for rule in perspectives.rules():
        seen = (rule.look.__doc__ or "").strip().partition("\n")[0]
        yield f"| {rule.name} | {seen} | {'adds to the verdict' if rule.remark else 'names the cause'} |"
    yield ""


def _row(rule: Rule) -> str:
    evidence = "; ".join(f"`{key}` {_wanted(value)}" for key, value in rule.when.items()) or "any failure"
    said = rule.message or ""
    if rule.alternatives:
        said = f"{' or '.join(f'`{code}`' for code in rule.alternatives)}: {said}"
    return f"| {rule.stage or 'any'} | {evidence} | {said} |"


def _wanted(value: Any) -> str:
    if value is bool:
        return "is there"
    if callable(value):
        return "is one of others" if value.__name__ == "<lambda>" else f"is {value.__name__.strip('_')}"
    if value is None:
        return "is not there"
    if isinstance(value, (set, frozenset)):
        return "is one of " + ", ".join(str(item) for item in sorted(value, key=lambda item: (str(type(item)), item)))
    return f"is {str(value).lower() if isinstance(value, bool) else value}"
