"""SSH: a machine that commands are run on. Up to the login it is as SFTP; then comes a command that changes nothing."""

from __future__ import annotations

import paramiko

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.protocols import Answer, Protocol
from tasks.protocols.sftp import ANSWERS, GREETS_LATE, SftpSession

#: What is said proves that it is this command that ran, and not one that the server forces on everybody.
_WORD = "headwater"
_COMMAND = f"echo {_WORD}"
#: Bytes of what a shell says before it; logins greet.
_LONGEST = 65536


class SshSession(SftpSession):
    """One conversation with one SSH server."""

    def _methods(self) -> tuple[str, ...]:
        by_password = self.access.setting("security_protocol") == "passwordAuth"
        return ("password", "keyboard-interactive") if by_password else ("publickey",)

    async def target(self, recorder: Recorder) -> None:
        raise StageSkipped("a machine has nothing to be chosen on it")

    async def privilege(self, recorder: Recorder) -> None:
        patience = self.ssh.patience

        def run() -> bool:
            with self.ssh.transport.open_session(timeout=patience) as channel:
                channel.settimeout(patience)
                channel.exec_command(_COMMAND)
                channel.shutdown_write()
                said = b""
                while len(said) < _LONGEST and (more := channel.recv(_LONGEST)):
                    said += more
                return said.strip().endswith(_WORD.encode())

        try:
            ran = await self.ssh.call(run, paramiko.SSHException, OSError)
        except (paramiko.SSHException, OSError) as error:
            if self.ssh.ended:
                raise self.ssh.failure(error) from None
            raise StageFailed(no_commands=True, object=_COMMAND) from None
        if not ran:
            raise StageFailed(no_commands=True, object=_COMMAND)
        recorder.see(command=_COMMAND)


PROTOCOL = Protocol(
    name="ssh",
    title="SSH",
    session=SshSession,
    greets_late=GREETS_LATE,
    answers=(
        Answer(
            "PRIV.OBJECT_DENIED",
            {"no_commands": True},
            component="{username}",
            message="{username} may log in to {address}:{port}, and may run no command there: its shell or a "
            "ForceCommand refuses.",
            remedy="Give {username} a login shell that runs commands (usermod -s /bin/sh {username}), and look for "
            "ForceCommand in sshd_config.",
        ),
        *ANSWERS,
    ),
)
