"""Bringing the forms of a Prefect server up to date as a command does: in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = "import sys; from flows import deploy; print(deploy.sync_choices(), 'prefect' in sys.modules)"


def synced() -> tuple[bool, str]:
    """Whether there was something to change, and whether it took Prefect's library, which takes seconds to load."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    changed, loaded = done.stdout.split()
    return changed == "True", f"and Prefect's library {'loaded' if loaded == 'True' else 'unread'}"
