"""Java's login configuration, as far as it says who logs in to what (JAAS reference guide, Krb5LoginModule)."""

from __future__ import annotations

import re

_SECTION = re.compile(r"([\w.-]+)\s*\{([^}]*)\}\s*;")
_OPTION = re.compile(r"""([\w.]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""")
#: What stands between quotes is kept.
_COMMENT = re.compile(r"""("[^"]*")|/\*.*?\*/|//[^\n]*""", re.DOTALL)


def options(text: str, section: str) -> dict[str, str]:
    """The options of a section's login module, as ``principal`` and ``serviceName``; of the only section there is.

    None where there is no such section.
    """
    found = dict(_SECTION.findall(_COMMENT.sub(lambda match: match[1] or "", text)))
    body = next(iter(found.values())) if len(found) == 1 else found.get(section, "")
    return {name: next(filter(None, values), "") for name, *values in _OPTION.findall(body)}
