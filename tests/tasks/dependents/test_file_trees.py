"""Trees of files: what is looked at, how fast, in whose repository it lies, and what is done with it there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from registry.errors import HeadwaterError, InvalidInput, NotFound
from tasks.dependents.files import walking
from tasks.dependents.flowspec import ADAPTER
from tests.tasks.dependents.scanning import renames, scan

SPEC = '{"spec": {"nodes": [{"id": "%s", "name": "n", "datasource": {"name": "orders", "type": "mysql"}}]}}\n'


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=ana", "-c", "user.email=ana@shop.example", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    (folder / "specs").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "specs" / f"{name}.json").write_text(SPEC % name)
    git(tmp_path, "init", "--quiet", "shop")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Begin")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "headwater")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "headwater@shop.example")
    return folder


async def test_only_what_can_matter_is_read(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "a.json").write_text(SPEC % "a")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "h.json").write_text(SPEC % "h")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "g.json").write_text(SPEC % "g")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.json").symlink_to(tmp_path / "deep" / "deeper" / "a.json")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "binary.json").write_bytes(b"\x00datasource")
    (tmp_path / "other.json").write_text("{ broken, but of nobody's interest")
    (tmp_path / "text.txt").write_text(SPEC % "t")
    (tmp_path / "gbk.json").write_bytes('{\n "datasource": "订单'.encode("gbk"))
    os.mkfifo(tmp_path / "pipe.json")  # whoever opens it would wait for ever

    found, unread = await scan(ADAPTER, tmp_path, tmp_path / "deep")
    assert {*found} == {"a.json#a", "h.json#h"}
    assert {key: one.reason for key, one in unread.items()} == {"gbk.json 2:17": "no UTF-8 text"}

    found, _ = await scan(ADAPTER, tmp_path, hidden="no")
    assert {*found} == {"a.json#a"}


async def test_a_file_too_large_is_told_where_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "LARGEST", 1000)
    (tmp_path / "large.json").write_text(SPEC % "a" + " " * 1000)
    (tmp_path / "of_nobody.json").write_text("1" * 2000)
    found, unread = await scan(ADAPTER, tmp_path)
    assert not found
    assert [*unread] == ["large.json "]


async def test_what_is_hidden_by_another_encoding_or_behind_a_link_is_told(tmp_path: Path) -> None:
    root = tmp_path / "specs"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    for number, encoding in enumerate(("utf-16", "utf-32")):
        (root / f"wide_{number}.json").write_text(SPEC % "a", encoding)
        (root / f"wide_other_{number}.json").write_text("{}", encoding)
    (tmp_path / "elsewhere" / "a.json").write_text(SPEC % "a")
    (tmp_path / "elsewhere" / "other.json").write_text("{}")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    for name in ("a.json", "other.json"):
        (root / name).symlink_to(tmp_path / "elsewhere" / name)

    found, unread = await scan(ADAPTER, root)
    assert not found
    assert [*unread] == ["folder ", "a.json ", "wide_0.json 1:1", "wide_1.json 1:1"]
    found, unread = await scan(ADAPTER, root, tmp_path / "elsewhere")
    assert [*found] == ["a.json#a"]
    assert [*unread] == ["wide_0.json 1:1", "wide_1.json 1:1"]


async def test_links_in_a_circle_end_no_scan(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(SPEC % "a")
    (tmp_path / "circle.json").symlink_to("circle.json")
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    found, unread = await scan(ADAPTER, tmp_path)
    assert ([*found], [*unread]) == (["a.json#a"], [])


async def test_characters_that_nobody_can_keep_are_told_and_the_rest_is_found(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text(SPEC.replace('"n"', '"n \\ud83d"') % "a")
    (tmp_path / "nul.json").write_text(SPEC % "a\\u0000b")
    (tmp_path / "whole.json").write_text(SPEC.replace('"n"', '"n \\ud83d\\ude00 \\\\ud83d"') % "a")
    (tmp_path / "long.json").write_text(SPEC.replace("orders", "o" * 300) % "a")
    (tmp_path / "\udcff.json").write_text(SPEC % "a")
    found, unread = await scan(ADAPTER, tmp_path)
    assert {key: one.name for key, one in found.items()} == {"whole.json#a": "n 😀 \\ud83d"}
    assert sorted(unread) == ["cut.json ", "long.json ", "nul.json ", "\ufffd.json "]


@pytest.mark.parametrize(("option", "word"), [("env", "staging"), ("hidden", "perhaps")])
async def test_an_option_that_means_nothing_is_an_error(option: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=word):
        await scan(ADAPTER, tmp_path, **{option: word})


async def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file or folder"):
        await scan(ADAPTER, tmp_path / "nowhere")


async def test_ten_thousand_files_are_scanned_in_seconds(tmp_path: Path) -> None:
    """A tenth of them, and a tenth of what is allowed for all; the processor's time, for the machine has others."""
    node = {"id": "7", "datasource": {"name": "orders"}, "script": {"content": "select 1", "parameters": [{}] * 40}}
    text = json.dumps({"spec": {"nodes": [node] * 5}}, indent=2)
    for number in range(1000):
        (tmp_path / f"{number}.json").write_text(text if number % 2 else text.replace("datasource", "something"))
    started = time.process_time()
    found, _ = await scan(ADAPTER, tmp_path)
    assert time.process_time() - started < 2.0
    assert len(found) == 500 * 5


async def test_a_file_with_changes_is_being_edited(repository: Path) -> None:
    edited = repository / "specs" / "a.json"
    edited.write_text(edited.read_text() + "\n")
    (repository / "specs" / "new.json").write_text(SPEC % "new")
    found, _ = await scan(ADAPTER, repository)
    assert {key: bool(one.locked_by) for key, one in found.items()} == {
        "a.json#a": True,
        "b.json#b": False,
        "new.json#new": False,
    }
    assert edited.owner() in found["a.json#a"].locked_by


async def test_a_commit_holds_one_file_alone(repository: Path) -> None:
    (repository / "specs" / "a.json").write_text("somebody's work")
    (repository / "staged.txt").write_text("somebody's work")
    git(repository, "add", "staged.txt")
    found, _ = await scan(ADAPTER, repository / "specs" / "b.json")
    [(unit, changes)] = renames(found["b.json#b"], "orders", "orders_v2").items()
    before = await ADAPTER.read(unit)
    await ADAPTER.write(unit, before, ADAPTER.rewrite(before, changes))

    await ADAPTER.submit(unit, "Not asked for")
    assert git(repository, "log", "--format=%s").split() == ["Begin"]
    adapter = ADAPTER.configured({"commit": "yes"})
    await adapter.submit(unit, "Use orders_v2")
    await adapter.submit(unit, "Use orders_v2")  # as after a kill

    assert git(repository, "log", "--format=%s").splitlines() == ["Use orders_v2", "Begin"]
    assert git(repository, "show", "--format=", "--name-only").split() == ["specs/b.json"]
    assert git(repository, "status", "--porcelain").splitlines() == [" M specs/a.json", "A  staged.txt"]


async def test_a_hook_that_refuses_is_told(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no work on Saturdays >&2\nexit 1\n")
    hook.chmod(0o755)
    file = repository / "specs" / "a.json"
    file.write_text(SPEC % "z")
    with pytest.raises(HeadwaterError, match="git commit refused: no work on Saturdays"):
        await ADAPTER.configured({"commit": "yes"}).submit(str(file), "Use orders_v2")


async def test_a_file_in_no_repository_has_nothing_to_submit(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(SPEC % "a")
    await ADAPTER.configured({"commit": "yes"}).submit(str(tmp_path / "a.json"), "Use orders_v2")


async def test_the_command_that_deploys_gets_the_file_and_no_shell(tmp_path: Path) -> None:
    file = tmp_path / "a b;touch evil.json"
    file.write_text("{}")
    adapter = ADAPTER.configured({"deploy": "cp {path} '{folder}/deployed {name}'"})
    await adapter.deploy(str(file))
    assert {one.name for one in await asyncio.to_thread(lambda: [*tmp_path.iterdir()])} == {
        "a b;touch evil.json",
        "deployed a b;touch evil.json",
    }
    with pytest.raises(HeadwaterError, match="false ended with 1"):
        await ADAPTER.configured({"deploy": "false {path}"}).deploy(str(file))
    with pytest.raises(HeadwaterError, match="can't run no-such-command"):
        await ADAPTER.configured({"deploy": "no-such-command"}).deploy(str(file))
    with pytest.raises(InvalidInput, match="no command"):
        await ADAPTER.configured({"deploy": "cp 'x"}).deploy(str(file))


async def test_verifying_reads_and_parses_again(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(SPEC % "a")
    expected = await ADAPTER.read(str(file))
    assert await ADAPTER.verify(str(file), expected) is None
    file.write_text(SPEC % "other")
    assert "something else" in str(await ADAPTER.verify(str(file), expected))
    file.write_text("{")
    assert f"{file}:1:2" in str(await ADAPTER.verify(str(file), expected))
    file.unlink()
    assert "gone" in str(await ADAPTER.verify(str(file), expected))


async def test_a_declared_smoke_run_is_run_and_its_failure_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text((SPEC % "a7").replace('"name": "n"', '"metadata": {"smoke": true}'))
    (tmp_path / "b.json").write_text(SPEC % "b7")
    found, _ = await scan(ADAPTER, tmp_path)
    one, other = found["a.json#a7"], found["b.json#b7"]
    assert await ADAPTER.smoke(other.unit, other.details) is None
    assert "HEADWATER_FILES_SMOKE" in str(await ADAPTER.smoke(one.unit, one.details))
    good = ADAPTER.configured({"smoke": "cp {path} {folder}/{id}"})
    assert await good.smoke(one.unit, one.details) is None
    assert os.path.exists(f"{one.location.removesuffix('a.json')}a7")  # noqa: ASYNC240, PTH110
    assert await ADAPTER.configured({"smoke": "false"}).smoke(one.unit, one.details) == "false ended with 1"


async def test_a_commit_that_is_refused_can_be_taken_back(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    found, _ = await scan(ADAPTER, repository / "specs" / "a.json")
    [(unit, changes)] = renames([*found.values()], "orders", "orders_v2").items()
    held = await ADAPTER.read(unit)
    changed = ADAPTER.rewrite(held, changes)
    adapter = ADAPTER.configured({"commit": "yes"})
    await adapter.write(unit, held, changed)
    with pytest.raises(HeadwaterError, match="not today"):
        await adapter.submit(unit, "Repoint orders")
    await adapter.write(unit, changed, held)
    await adapter.submit(unit, "Take it back")
    assert git(repository, "status", "--porcelain") == ""


async def test_a_file_that_its_repository_does_not_keep_is_changed_and_not_committed(repository: Path) -> None:
    new = repository / "specs" / "new.json"
    new.write_text(SPEC % "new")
    await ADAPTER.configured({"commit": "yes"}).submit(str(new), "Repoint orders")
    assert git(repository, "status", "--porcelain") == "?? specs/new.json\n"
