"""What touches the outside world: vantages, probes and protocols, diagnosis, publishing.

Probing gathers evidence and decides nothing; `tasks.diagnosis` turns evidence into a verdict and touches nothing.
Pipelines use `connect` and `aconnect`, and `DataSourceRef` for parameters that name a data source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.connecting import aconnect as aconnect
    from tasks.connecting import connect as connect
    from tasks.data_source_ref import DataSourceRef as DataSourceRef

#: Name -> the module that has it. They are loaded when they are asked for: most of Headwater never is by a pipeline.
_LAZY = {"connect": "tasks.connecting", "aconnect": "tasks.connecting", "DataSourceRef": "tasks.data_source_ref"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
