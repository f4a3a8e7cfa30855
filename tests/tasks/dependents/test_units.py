"""Files as units: replaced whole or not at all, only when nobody else has changed them, and as they were otherwise."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.errors import Conflict, HeadwaterError, NotFound
from tasks.dependents import UnitMoved
from tasks.dependents.files import units
from tasks.dependents.files.units import content


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.json"
    path.write_text("before")
    return path


def test_a_file_is_replaced_and_keeps_its_mode_owner_and_neighbours(file: Path) -> None:
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 2345)
    owned = file.stat()
    units.replace(str(file), content("before"), content("after"))
    now = file.stat()
    assert file.read_text() == "after"
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o640, owned.st_uid, owned.st_gid)
    assert [one.name for one in file.parent.iterdir()] == ["orders.json"]


def test_what_somebody_else_has_changed_is_left_alone(file: Path) -> None:
    file.write_text("somebody's")
    with pytest.raises(UnitMoved):
        units.replace(str(file), content("before"), content("after"))
    assert file.read_text() == "somebody's"


def test_a_second_attempt_does_nothing(file: Path) -> None:
    units.replace(str(file), content("before"), content("after"))
    number = file.stat().st_ino
    units.replace(str(file), content("before"), content("after"))
    assert file.stat().st_ino == number


def test_a_change_during_the_writing_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def late(descriptor: int) -> None:
        file.write_text("somebody's")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", late)
    with pytest.raises(UnitMoved):
        units.replace(str(file), content("before"), content("after"))
    assert file.read_text() == "somebody's"
    assert [one.name for one in file.parent.iterdir()] == ["orders.json"]


def test_a_link_stays_a_link(file: Path) -> None:
    link = file.with_name("link.json")
    link.symlink_to(file)
    units.replace(str(link), content("before"), content("after"))
    assert link.is_symlink()
    assert file.read_text() == "after"


def test_a_second_name_in_the_way_is_not_written_through(file: Path) -> None:
    victim = file.with_name("victim")
    victim.write_text("precious")
    os.link(victim, file.with_name(".orders.json.headwater"))
    units.replace(str(file), content("before"), content("after"))
    assert (file.read_text(), victim.read_text()) == ("after", "precious")


def test_two_writers_do_not_mix(file: Path) -> None:
    path = Path(file).resolve()
    with units._beside(path), pytest.raises(Conflict):
        units.replace(str(file), content("before"), content("after"))
    assert file.read_text() == "before"


_REPLACED = """
import sys
from tasks.dependents.files import units
units.replace(sys.argv[1], units.content("before"), units.content("after"))
"""
#: Of what root may do, writing to files that are read-only is left out.
_AS_OTHERS = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override") if os.geteuid() == 0 else ()


def test_a_read_only_file_is_left_alone(file: Path) -> None:
    file.chmod(0o440)
    command = [*_AS_OTHERS, sys.executable, "-c", _REPLACED, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "HeadwaterError" in done.stderr
    assert "the file is read-only" in done.stderr
    assert file.read_text() == "before"


def test_what_is_gone_or_no_text_is_told(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(HeadwaterError, match="UTF-8"):
        units.read(str(file))
    file.unlink()
    with pytest.raises(NotFound):
        units.read(str(file))


_WRITER = """
import sys
from tasks.dependents.files import units
path, size = sys.argv[1], int(sys.argv[2])
one, other = units.content("a" * size), units.content("b" * size)
print("ready", flush=True)
while True:
    units.replace(path, one, other)
    units.replace(path, other, one)
"""


@pytest.mark.parametrize("after", [0.0, 0.003, 0.011, 0.02])
def test_killed_at_any_moment_the_file_is_whole_and_the_next_attempt_works(file: Path, after: float) -> None:
    size = 300_000
    file.write_text("a" * size)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(file), str(size)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(after)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    text = file.read_text()
    assert text in ("a" * size, "b" * size)
    units.replace(str(file), content(text), content("after"))
    assert file.read_text() == "after"
    assert [one.name for one in file.parent.iterdir()] == ["orders.json"]


async def test_readers_see_either_text_whole(file: Path) -> None:
    size = 200_000
    one, other = content("a" * size), content("b" * size)
    file.write_text(one.text)  # noqa: ASYNC240

    def write() -> None:
        for _ in range(20):
            units.replace(str(file), one, other)
            units.replace(str(file), other, one)

    writing = asyncio.create_task(asyncio.to_thread(write))
    while not writing.done():
        assert units.read(str(file)) in (one, other)
        await asyncio.sleep(0)
    await writing
