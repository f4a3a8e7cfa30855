"""Makes docs/images/verdicts.svg: what a terminal shows of `headwater test` in the demonstration's neighbourhood."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from contextlib import ExitStack
from pathlib import Path

import dns.resolver
from demo import environment_in, neighbourhood
from rich.console import Console
from rich.text import Text

_PICTURE = Path(__file__).parent.parent / "docs" / "images" / "verdicts.svg"
_BIN = Path(sys.executable).parent
_COLUMNS = 132


def main() -> None:
    """Run the command in a terminal of its own, and draw what it wrote."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        environment = {**environment_in(folder), "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
        file = neighbourhood(stack, folder)
        subprocess.run([_BIN / "headwater", "apply", "-f", file], env=environment, check=True)
        written = _in_terminal([str(_BIN / "headwater"), "test"], environment)
    for server in dns.resolver.Resolver().nameservers:
        written = written.replace(str(server), "192.0.2.53")  # whose machine drew the picture is nobody's business
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi("$ headwater test\n" + written))
    _PICTURE.parent.mkdir(parents=True, exist_ok=True)
    _PICTURE.write_text(console.export_svg(title="headwater test"))
    print(f"wrote {_PICTURE}")


def _in_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a command writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _COLUMNS, 0, 0))
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    written = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            break
        if not data:
            break
        written += data
    process.wait()
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
