"""Boxes between a registry and a worker, each with a home of its own."""

from __future__ import annotations

import json
import multiprocessing
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import sealing
from registry.errors import InvalidInput, RegistryUnavailable
from registry.sealing import BoxRefused

GROUP = "k8s_pool"
NOW = 1_800_000_000.0
CONTENT = {"targets": [{"host": "10.0.0.1", "password": "canary"}]}


class Sides:
    """The registry's home and the worker's, which share nothing."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, monkeypatch
        with self.at("registry"):
            self.registry = sealing.registry_keys()
        with self.at("worker"):
            self.worker = sealing.worker_keys(make=True)
            sealing.trust(GROUP, self.registry.public)

    @contextmanager
    def at(self, side: str) -> Iterator[None]:
        """Act in the home of one side."""
        with self._patch.context() as patch:
            patch.setenv("HEADWATER_HOME", str(self._folder / side))
            patch.delenv("HEADWATER_KEYRING", raising=False)
            yield

    def seal(self, **changes: Any) -> str:
        """A box as the registry makes it."""
        options = {"group": GROUP, "worker": self.worker.public, "keys": self.registry, "lifetime": 60, "now": NOW}
        return sealing.seal(CONTENT, **(options | changes))

    def receive(self, text: str, *, group: str = GROUP, now: float = NOW) -> dict[str, Any]:
        """Open it as the worker does."""
        with self.at("worker"):
            return sealing.receive(text, group=group, now=now)

    def refusal(self, text: str, *, group: str = GROUP, now: float = NOW) -> str:
        """Why the worker does not open it."""
        with pytest.raises(BoxRefused) as refused:
            self.receive(text, group=group, now=now)
        assert "canary" not in str(refused.value)
        return refused.value.why


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sides:
    return Sides(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def lasting_sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with pytest.MonkeyPatch.context() as patch:
        yield Sides(tmp_path_factory.mktemp("sides"), patch)


def test_a_box_opens_once(sides: Sides) -> None:
    box = sides.seal()
    assert "canary" not in box
    assert sides.receive(box) == CONTENT
    assert sides.refusal(box) == "replayed"
    assert sides.receive(sides.seal()) == CONTENT, "another box is another box"


def test_a_box_that_anybody_else_made_is_foreign(sides: Sides, tmp_path: Path) -> None:
    """Everybody may know the worker's public key."""
    with sides.at("stranger"):
        stranger = sealing.registry_keys()
    box = sides.seal(keys=stranger)
    assert sides.refusal(box) == "foreign"
    version, worker, _, body = box.split(".")
    mine = sides.registry.public.split("-", 2)[2]
    assert sides.refusal(".".join((version, worker, mine, body))) == "tampered", "a borrowed name opens nothing"


def test_a_box_for_another_group_or_another_worker(sides: Sides) -> None:
    with sides.at("worker"):
        sealing.trust("other", sides.registry.public)
    assert sides.refusal(sides.seal(group="other")) == "other-group"
    assert sides.refusal(sides.seal(), group="nobody") == "untrusting"
    with sides.at("second"):
        second = sealing.worker_keys(make=True)
    assert sides.refusal(sides.seal(worker=second.public)) == "other-key"


@pytest.mark.parametrize(
    ("later", "why"),
    [(0, ""), (60, ""), (60 + 240, ""), (-240, ""), (60 + 301, "expired"), (-301, "early"), (1e7, "expired")],
)
def test_clocks_may_differ_by_minutes_and_no_more(sides: Sides, later: float, why: str) -> None:
    if why:
        assert sides.refusal(sides.seal(), now=NOW + later) == why
    else:
        assert sides.receive(sides.seal(), now=NOW + later) == CONTENT


def test_an_id_is_remembered_as_long_as_its_box_could_be_opened(sides: Sides) -> None:
    box = sides.seal()
    sides.receive(box, now=NOW)
    sides.receive(sides.seal(now=NOW + 359), now=NOW + 359)  # forgets what has expired
    assert sides.refusal(box, now=NOW + 359) == "replayed"
    assert sides.refusal(box, now=NOW + 361) == "expired"


def test_open_letters_are_taken_only_where_there_is_no_key(sides: Sides) -> None:
    letter = sealing.letter(CONTENT, group=GROUP, lifetime=60, now=NOW)
    assert sides.refusal(letter) == "unsealed"
    with sides.at("keyless"):
        assert sealing.receive(letter, group=GROUP, now=NOW) == CONTENT
        for again, now, why in ((letter, NOW, "replayed"), (letter, NOW + 1000, "expired")):
            with pytest.raises(BoxRefused) as refused:
                sealing.receive(again, group=GROUP, now=now)
            assert refused.value.why == why
        with pytest.raises(BoxRefused) as refused:
            sealing.receive(sides.seal(), group=GROUP, now=NOW)
        assert refused.value.why == "keyless"


def _race(folder: str, box: str, results: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWATER_HOME", folder)
        try:
            sealing.receive(box, group=GROUP, now=NOW)
            results.put("opened")
        except BoxRefused as refused:
            results.put(refused.why)


def test_of_several_processes_one_opens_a_box(sides: Sides, tmp_path: Path) -> None:
    context, box = multiprocessing.get_context("fork"), sides.seal()
    results = context.Queue()
    racing = [context.Process(target=_race, args=(str(tmp_path / "worker"), box, results)) for _ in range(6)]
    for process in racing:
        process.start()
    told = sorted(results.get(timeout=30) for _ in racing)
    for process in racing:
        process.join()
    assert told == ["opened", *["replayed"] * 5]


def test_private_keys_are_the_owners_alone_and_stay(sides: Sides, tmp_path: Path) -> None:
    for name in ("registry/sealing.key", "worker/worker.key", "worker/trusted.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    with sides.at("worker"):
        assert sealing.worker_keys(make=True).public == sides.worker.public
    assert (tmp_path / "worker/worker.key").read_text().strip() not in repr(sides.worker)


def test_what_is_pasted_wrongly_is_told(sides: Sides, tmp_path: Path) -> None:
    for text, told in (
        (sides.registry.public, "public key of the registry, not of the worker"),
        (sides.worker.public[:-1], "43 more characters"),
        ("", "begins with hw-worker-"),
        ("hw-worker-" + "é" * 43, "begins with hw-worker-"),
    ):
        with pytest.raises(InvalidInput) as refused:
            sealing.public_key(text, "worker")
        assert told in str(refused.value)
        assert "headwater group keygen" in str(refused.value)
    (tmp_path / "worker/worker.key").write_text("half")
    with sides.at("worker"), pytest.raises(RegistryUnavailable, match="damaged"):
        sealing.worker_keys()


def test_trust_replaces_or_adds(sides: Sides) -> None:
    with sides.at("second-registry"):
        second = sealing.registry_keys()
    with sides.at("worker"):
        sealing.trust(GROUP, second.public, alone=False)
    assert sides.receive(sides.seal()) == sides.receive(sides.seal(keys=second)) == CONTENT
    with sides.at("worker"):
        sealing.trust(GROUP, second.public)
    assert sides.refusal(sides.seal()) == "foreign"


@given(content=st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)))
def test_whatever_goes_in_comes_out(lasting_sides: Sides, content: dict[str, Any]) -> None:
    sides = lasting_sides
    box = sealing.seal(content, group=GROUP, worker=sides.worker.public, keys=sides.registry, lifetime=60, now=NOW)
    assert sides.receive(box) == json.loads(json.dumps(content))


@given(place=st.floats(0, 1, exclude_max=True), end=st.floats(0, 1, exclude_max=True), other=st.characters())
def test_a_box_with_any_character_changed_is_refused(
    lasting_sides: Sides, place: float, end: float, other: str
) -> None:
    box = lasting_sides.seal()  # another one for each example: places are shares of its length
    at = int(place * len(box))
    changed = box[:at] + other + box[at + 1 :]
    if changed != box:
        assert lasting_sides.refusal(changed) in ("tampered", "foreign", "other-key", "unsealed")
    cut = int(end * len(box))
    assert lasting_sides.refusal(box[:cut]) in ("tampered", "foreign", "other-key", "unsealed")
    assert lasting_sides.receive(box) == CONTENT, "the refusals have not used it up"


@given(text=st.text(max_size=300))
def test_nonsense_is_refused(lasting_sides: Sides, text: str) -> None:
    assert lasting_sides.refusal(text) in ("tampered", "unsealed", "foreign", "other-key")
    assert lasting_sides.refusal(f"hwbox1.{text}") in ("tampered", "foreign", "other-key")
