"""YAML as version 1.2 reads it, and written so that nobody reads it otherwise."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry import texts
from registry.errors import InvalidInput

_text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_words = st.sampled_from(
    ["no", "on", "1e3", "0o17", "0x1f", "22:30", "~", "null", "<<", ".5", "-", "2020-01-01", "=", "1_000"]
)
_scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | _text | _words
_data = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text | _words, inner, max_size=4),
    max_leaves=20,
)


@given(_data)
def test_what_is_written_reads_back_the_same(data: Any) -> None:
    assert texts.parse("f.yaml", texts.dump({"x": data})).data == {"x": data}


@given(_data)
def test_a_reader_of_yaml_1_1_reads_the_same(data: Any) -> None:
    assert yaml.safe_load(texts.dump({"x": data})) == {"x": data}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("no", "no"), ("22:30", "22:30"), ("010", 10), ("0o17", 15), ("2020-01-01", "2020-01-01"), ("1_000", "1_000"),
     ("TRUE", True), ("~", None), ("", None), ("1e3", 1000.0), (".5", 0.5), ("'5'", "5"), ("=", "=")],
)  # fmt: skip
def test_plain_words_as_yaml_1_2(written: str, meant: Any) -> None:
    assert texts.parse("f.yaml", f"x: {written}").data == {"x": meant}


def test_anchors_and_merges() -> None:
    text = "base: &base {port: 1, host: a}\nother: {<<: *base, port: 2}\n"
    assert texts.parse("f.yaml", text).data["other"] == {"host": "a", "port": 2}


def test_a_text_that_holds_itself_or_doubles_without_end_is_no_trap() -> None:
    texts.parse("f.yaml", "x: &x [*x]")
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    texts.parse("f.yaml", bomb)
    with pytest.raises(InvalidInput):
        texts.parse("f.yaml", "[" * 20_000)


def test_tags_mean_nothing() -> None:
    text = "a: !!python/object/apply:os.system [id]\nb: !!binary aGk=\nc: !secret y\n"
    parsed = texts.parse("f.yaml", text)
    assert parsed.data == {"a": ["id"], "b": "aGk=", "c": "y"}
    assert [problem.where for problem in parsed.problems] == ["f.yaml:1:4", "f.yaml:2:4", "f.yaml:3:4"]


def test_null_characters_are_refused() -> None:
    assert "null character" in str(texts.parse("f.json", '{"a": "x\\u0000y"}').problems[0])


def test_a_file_that_is_no_text(tmp_path: Any) -> None:
    (tmp_path / "f.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(InvalidInput, match=r"f.yaml:2:4: no text in UTF-8"):
        texts.read_all(str(tmp_path / "f.yaml"))
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        texts.read_all(str(tmp_path / "gone.yaml"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"holds no \.yaml"):
        texts.read_all(str(tmp_path / "empty"))


def test_json_writes_a_character_beyond_the_first_plane_in_two_halves() -> None:
    data = {"a": '\U0001f600 \\ud83d\\ude00 \u00e4 / " \\', "b": "\\\\ud83d"}
    for indent in (None, 1):
        assert texts.parse("a.json", json.dumps(data, indent=indent)).data == data


def test_the_places_of_many_keys_are_found_at_once() -> None:
    parsed = texts.parse("a.json", json.dumps({f"k_{number}": number for number in range(20_000)}))
    began = time.process_time()
    assert {parsed.locate((f"k_{number}",)).line for number in range(20_000)} == {1}
    assert parsed.locate(("K19999",)) == parsed.locate(("k_19999",))
    assert time.process_time() - began < 3
