"""Names changed in documents of any form: nothing else of them changes, and backwards every byte is as it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.dependents import NotRewritable, Place, Rename
from tasks.dependents.files import documents, jsontext, pointers, properties, yamltext
from tasks.dependents.files.documents import Format
from tasks.dependents.files.texts import Malformed

UNIT = "/specs/orders.json"
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}(?:[./][A-Za-z][A-Za-z0-9_]{0,8})?", fullmatch=True).filter(
    lambda name: name.lower() not in {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
KEYS = TEXTS | st.sampled_from(["a/b", "m~n", "x!y", "name", "datasource", "0"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXTS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def rename(pointer: str, old: str = "orders", new: str = "orders_v2") -> Rename:
    return Rename(Place(UNIT, pointer), old, new)


def both_ways(text: str, format: Format, renames: list[Rename]) -> str:
    """The renamed text, whose renaming backwards gives the text again."""
    after = documents.renamed(text, format, renames)
    assert documents.renamed(after, format, [one.backwards() for one in renames]) == text
    return after


@st.composite
def planted(draw: st.DrawFn, name: str) -> tuple[Any, pointers.Path]:
    """Random data with a name somewhere in it, and the path to it."""
    data: Any = name
    path: pointers.Path = ()
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            key = draw(KEYS)
            others = draw(st.dictionaries(KEYS, DATA, max_size=3))
            others.pop(key, None)
            data, path = {**others, key: data, **{f"{key}+": draw(DATA)}}, (key, *path)
        else:
            before = draw(st.lists(DATA, max_size=2))
            data, path = [*before, data, draw(DATA)], (str(len(before)), *path)
    return data, path


def put(data: Any, path: pointers.Path, value: str) -> Any:
    changed = copy.deepcopy(data)
    inner = changed
    for key in path[:-1]:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    inner[int(path[-1]) if isinstance(inner, list) else path[-1]] = value
    return changed


@st.composite
def written_as_json(draw: st.DrawFn, data: Any) -> str:
    indent = draw(st.sampled_from([None, 0, 1, 2, "\t"]))
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", "  :\t")]))
    text = json.dumps(data, indent=indent, ensure_ascii=draw(st.booleans()), separators=(comma, colon))
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", ends) + draw(st.sampled_from(["", ends, " "]))


@st.composite
def nested(draw: st.DrawFn, name: str) -> tuple[Any, pointers.Levels, Any]:
    """Data, the levels to the name in it, and a function of the data with another name there."""
    data, path = draw(planted(name))
    levels: pointers.Levels = (path,)
    steps = [(data, path)]
    for _ in range(draw(st.integers(0, 2))):
        text = draw(written_as_json(data))
        data, path = draw(planted(text))
        levels = (path, *levels)
        steps.append((data, path))
    return data, levels, steps


def innermost(data: Any, levels: pointers.Levels) -> Any:
    for number, path in enumerate(levels):
        data = jsontext.load(data) if number else data
        for key in path:
            data = data[int(key)] if isinstance(data, list) else data[key]
    return data


def without(data: Any, levels: pointers.Levels) -> Any:
    """The data with nothing at the place, and the text inside of it read."""
    path, deeper = levels[0], levels[1:]
    inner: Any = None
    if deeper:
        text = data
        for key in path:
            text = text[int(key)] if isinstance(text, list) else text[key]
        inner = without(jsontext.load(text), deeper)
    return put(data, path, inner) if path else inner


@given(data=st.data(), old=NAMES, new=NAMES)
def test_a_name_changes_in_json_and_nothing_else(data: st.DataObject, old: str, new: str) -> None:
    document, levels, _ = data.draw(nested(old))
    text = data.draw(written_as_json(document))
    pointer = pointers.written(levels)
    assert pointers.read(pointer) == levels

    after = both_ways(text, Format.JSON, [rename(pointer, old, new)])

    read = jsontext.load(after)
    assert innermost(read, levels) == new
    assert without(read, levels) == without(jsontext.load(text), levels)
    assert len(after) - len(text) == len(new) - len(old)


@given(data=st.data(), old=NAMES, new=NAMES)
def test_a_name_changes_in_yaml_and_nothing_else(data: st.DataObject, old: str, new: str) -> None:
    document, levels, _ = data.draw(nested(old))
    styles: dict[str, Any] = {
        "default_flow_style": data.draw(st.sampled_from([True, False, None])),
        "default_style": data.draw(st.sampled_from([None, "'", '"', "|", ">"])),
        "allow_unicode": data.draw(st.booleans()),
        "width": data.draw(st.sampled_from([20, 80, 10**6])),
        "indent": data.draw(st.integers(2, 5)),
        "line_break": data.draw(st.sampled_from(["\n", "\r\n"])),
    }
    text = yaml.safe_dump(document, **styles)
    try:
        yamltext.load(text)
    except Malformed:
        return  # PyYAML writes some texts that it does not read
    try:
        after = both_ways(text, Format.YAML, [rename(pointers.written(levels), old, new)])
    except NotRewritable:
        # Refused is allowed where folding hides which blank is which; never a wrong document.
        assert len(levels) > 1
        return
    read = yamltext.load(after)
    assert innermost(read, levels) == new
    assert without(read, levels) == without(yamltext.load(text), levels)


@given(DATA)
def test_yaml_that_is_written_plainly_is_the_same_data_as_pyyaml_reads(data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    assert plain(yamltext.load(text)) == plain(expected)


def plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [plain(value) for value in data]
    return data if isinstance(data, bool) or data is None else str(data)


@pytest.mark.parametrize(
    ("before", "format", "after"),
    [
        ('{"a": {"name": "x"}, "a": {"name": "orders"}}', Format.JSON, '{"a": {"name": "x"}, "a": {"name": "v2"}}'),
        ('{"a": {"name": "orders"}, "a": {}}', Format.JSON, None),
        ("a: {name: &n !!str orders} # c", Format.YAML, "a: {name: &n !!str v2} # c"),
        ("a: {name: &n orders}\nb: *n", Format.YAML, None),
        ("a:\n  name: !!str # why\n    'orders'\n", Format.YAML, "a:\n  name: !!str # why\n    'v2'\n"),
        ("a:\n  name: |- # why\n      orders\n\nb: 1", Format.YAML, "a:\n  name: |- # why\n      v2\n\nb: 1"),
        ("a: {name: x, name: orders}", Format.YAML, "a: {name: x, name: v2}"),
        ("b: &b {name: orders}\na: *b", Format.YAML, None),
        ("a: {name: 17}", Format.YAML, None),
        ('{"a": {"name": true}}', Format.JSON, None),
    ],
)
def test_names_that_are_hard_to_hit(before: str, format: Format, after: str | None) -> None:
    change = [rename("/a/name", new="v2")]
    if after is not None:
        assert both_ways(before, format, change) == documents.renamed(before, format, change) == after
        return
    with pytest.raises(NotRewritable):
        documents.renamed(before, format, change)


@pytest.mark.parametrize(
    ("text", "format", "line"),
    [
        ("[" * 200_000, Format.JSON, 1),
        ("[" * 9_000 + "]" * 9_000, Format.YAML, 1),
        ("- " * 200_000, Format.YAML, 1),
        ("".join(" " * at + "a:\n" for at in range(2_000)), Format.YAML, 101),
        ("a: &a [*a]", Format.YAML, 1),
        (
            "a: &a [1, 2]\n"
            + "".join(
                f"{name}: &{name} [*{old}, *{old}, *{old}]\n"
                for old, name in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
            ),
            Format.YAML,
            14,
        ),
        ("a: 1\nb: [\n", Format.YAML, 3),
        ("a: \x00", Format.YAML, 1),
        ('{"a": 1}\n{"b": 2}', Format.JSON, 2),
        ("1" * 5_000, Format.JSON, 1),
    ],
    ids=["brackets", "flow", "one line", "indentation", "itself", "laughs", "open", "control", "two", "number"],
)
def test_traps_are_told_with_their_place(text: str, format: Format, line: int) -> None:
    with pytest.raises(Malformed) as told:
        documents.load(text, format)
    assert told.value.line == line


@given(data=st.data(), old=NAMES, new=NAMES)
def test_a_value_changes_in_properties_and_nothing_else(data: st.DataObject, old: str, new: str) -> None:
    words = st.from_regex(r"[A-Za-z.]{1,8}", fullmatch=True)
    before = data.draw(st.lists(st.tuples(words, TEXTS.filter(lambda text: text.isalnum())), max_size=4))
    split = data.draw(st.sampled_from(["=", ":", " = ", "\t:  ", " "]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    lines = [f"{key}{split}{value}" for key, value in before]
    lines += ["# the.key = not this", "! nor=this", "long=goes\\", "   on", f"  the.key{split}{old}", "last\\ one=x"]
    text = data.draw(st.sampled_from(["", "\ufeff"])) + end.join(lines) + data.draw(st.sampled_from(["", end]))
    found = properties.load(text)
    assert (found["the.key"].text, found["long"].text, found["last one"].text) == (old, "goeson", "x")
    change = Rename(Place("/s/dataworks.properties", found["the.key"].pointer), old, new)

    after = properties.renamed(text, [change])

    expected = {key: value.text for key, value in found.items()} | {"the.key": new}
    assert {key: value.text for key, value in properties.load(after).items()} == expected
    assert properties.renamed(after, [change.backwards()]) == text
