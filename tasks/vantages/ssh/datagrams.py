"""Datagrams from the far machine: SSH forwards none, so its own bash or Python sends them, where it has either."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from tasks.budget import Budget
from tasks.vantages.ssh.shell import Batch, Shell

#: What is left of the time for a question after the wait for its answer, for the way to that machine and back: a part,
#: and at least so many seconds where there are as many again.
_SPARE, _LEAST = 0.3, 0.25
#: Seconds for starting the tools, beyond the longest wait for an answer.
_STARTING = 1.0
#: Statuses of the commands below: `timeout` has ended them (124; 143 by BusyBox), or the network refused. With any
#: other there is no such tool, or it knows no sockets.
_WELL, _SILENT, _REFUSED = b"0", frozenset({b"124", b"143"}), b"1"
#: What stands before an answer: the tools have come as far as to ask. Those that do not even start, such as a `timeout`
#: that knows no fractions of a second, end with 1 as well.
_ASKED = b"?"

#: dd gathers what printf writes: bash sends line by line, and a datagram has to be one.
_BASH = (
    "exec 3<>/dev/udp/{address}/{port} || exit 3; "
    "printf '{escaped}' | dd obs=65507 2>/dev/null >&3; printf '?'; exec dd bs=65536 count=1 <&3 2>/dev/null"
)
_PYTHON = """\
import socket, sys
sys.stdout.write('?')
sys.stdout.flush()
try:
    peer = socket.getaddrinfo({address!r}, {port}, 0, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0]
    udp = socket.socket(*peer[:3])
    udp.settimeout({seconds})
    udp.connect(peer[4])
    udp.send(bytes.fromhex({datagram!r}))
    sys.stdout.buffer.write(udp.recv(65536))
except socket.timeout:
    sys.exit(124)
except OSError:
    sys.exit(1)
"""
#: A way that cannot be gone gives room to the next one.
_WAYS = """\
answer=$( ( {timed} bash -c {bash}; printf '\\n%s' $? ) 2>/dev/null | {hexadecimal} )
case $answer in {asked}*{silent}|{asked}*{killed}|{asked}*{refused}|{asked}*{well}) ;; *)
answer=$( ( python3 -c {python}; printf '\\n%s' $? ) 2>/dev/null | {hexadecimal} ) ;;
esac
printf '%s\\n' "$({section}; printf '%s' "$answer")"
"""


class Datagrams:
    """Asks peers over UDP from the machine that a shell runs on."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._questions = Batch(self._ask)
        #: Whether that machine can send any; None while that is not known.
        self.usable: bool | None = None

    async def exchange(self, address: str, port: int, datagram: bytes, budget: Budget) -> bytes | None:
        """The first datagram that comes back; None where none can be sent, or nobody knows whether one came.

        Raises:
            TimeoutError, ConnectionRefusedError: There was no answer in time, or word that nobody listens.
            VantageFailed: The hop itself cannot be used.
        """
        if self.usable is False:
            return None
        left = budget.left()
        seconds = left - max(left * _SPARE, min(_LEAST, left / 2))
        said = await self._questions.ask(f"{address} {port} {seconds:.2f} {datagram.hex()}", budget)
        if said is None:
            return None
        answer, _, status = said.rpartition(b"\n")
        asked = answer.startswith(_ASKED) and status in (_WELL, _REFUSED, *_SILENT)
        self.usable = self.usable or asked
        if not asked:
            return None
        if status in _SILENT:
            raise TimeoutError
        if status == _REFUSED:
            raise ConnectionRefusedError
        return answer.removeprefix(_ASKED)

    async def _ask(self, questions: list[str]) -> Mapping[str, bytes]:
        longest = max(float(question.split()[2]) for question in questions)
        script = "".join(
            f"(\n{command(question, self._shell.section(f'answer{number}').rstrip())}) &\n"
            for number, question in enumerate(questions)
        )
        sections = await self._shell.run(f"{script}wait\n", Budget.of(longest + _STARTING)) or {}
        answers = {question: sections.get(f"answer{number}", "") for number, question in enumerate(questions)}
        return {question: bytes.fromhex(said) for question, said in answers.items() if _HEXADECIMAL.fullmatch(said)}


_HEXADECIMAL = re.compile("(?:[0-9a-f]{2})+")


def command(question: str, section: str) -> str:
    """The commands that put one question (address, port, seconds, datagram) and print the answer in hexadecimal."""
    address, port, seconds, datagram = question.split()
    escaped = re.sub("..", r"\\x\g<0>", datagram)
    return _WAYS.format(
        timed=f"timeout {seconds}",
        bash=shlex.quote(_BASH.format(address=address, port=port, escaped=escaped)),
        python=shlex.quote(_PYTHON.format(address=address, port=int(port), seconds=seconds, datagram=datagram)),
        hexadecimal="od -An -v -tx1 | tr -d ' \\n'",
        asked=_ASKED.hex(),
        silent="0a313234",
        killed="0a313433",
        refused="0a31",
        well="0a30",
        section=section,
    )
