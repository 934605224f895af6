"""Variables (docs/manifests.md, "Variables")."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.template import (
    Expansion,
    ExpansionError,
    Variable,
    compile_rule,
    expand,
    parse,
    split_environ,
)

from .manifest_tree import properties, rule
from .obvious import obvious


def expanded(text: str, values: Mapping[str, Any]) -> str:
    return expand(compile_rule(rule({}, spawn=["x", text])), values).argv[1]


OPEN = {"tag": "t1", "a.b_c-D9": "odd", "one": 1, "yes": True, "no": False, "void": None, "text": "${tag} \\${tag}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${tag}", "t1"),
        ("-${tag}-${tag}-", "-t1-t1-"),
        ("${tag}${one}", "t11"),
        ("${a.b_c-D9}", "odd"),
        ("\\${tag}", "${tag}"),
        ("\\\\${tag}", "\\${tag}"),
        ("${tag}\\${tag}${tag}", "t1${tag}t1"),
        ("a\\b", "a\\b"),
        ("\\$tag", "\\$tag"),
        ("\\${}", "\\${}"),
        ("\\${a b}", "\\${a b}"),
        ("${}", "${}"),
        ("${a b}", "${a b}"),
        ("${tag", "${tag"),
        ("${ tag}", "${ tag}"),
        ("${t\u00e4g}", "${t\u00e4g}"),
        ("${t/g}", "${t/g}"),
        ("$tag {tag} $ {tag} $$", "$tag {tag} $ {tag} $$"),
        ("$${tag}", "$t1"),
        ("${${tag}}", "${t1}"),
        ("${tag${tag}", "${tagt1"),
        ("${", "${"),
        ("}${tag}{", "}t1{"),
        ("${unknown}", ""),
        ("${void}", ""),
        ("[${unknown}]", "[]"),
        ("${yes}${no}", "truefalse"),
        # One pass: what a value brings in is not looked at again.
        ("${text}", "${tag} \\${tag}"),
    ],
)
def test_text(text: str, expected: str) -> None:
    assert expanded(text, OPEN) == expected


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0"),
        ("-1", "-1"),
        ("1.0", "1.0"),
        ("0.1", "0.1"),
        ("-0.0", "-0.0"),
        ("1e300", "1e300"),
        ("1E2", "100.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9" * 4300, "9" * 4300),
        ("18446744073709551616", "18446744073709551616"),
    ],
)
def test_numbers_become_their_json_text(number: str, text: str) -> None:
    value = msgspec.json.decode(f'{{"n": {number}}}')
    assert expanded("<${n}>", value) == f"<{text}>"


@pytest.mark.parametrize(
    "value", ["a b", "'\"`", "$(id)", "; rm", "-x", "--", "\n\t", "*", "=", "ä€😀", "\x7f", "x" * 2**20]
)
def test_a_value_stays_within_its_argument(value: str) -> None:
    recipe = compile_rule(rule({}, spawn=["x", "--tag=${tag}", "${tag}"], environ=["TAG=${tag}"], directory="/${tag}"))
    assert expand(recipe, {"tag": value}) == Expansion(("x", f"--tag={value}", value), (("TAG", value),), f"/{value}")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "a list"),
        (["a"], "a list"),
        ({}, "an object"),
        ({"a": 1}, "an object"),
        ("a\0b", "NUL"),
        ("\0", "NUL"),
        (float("inf"), "JSON cannot spell"),
        (float("nan"), "JSON cannot spell"),
        (object(), "an object"),
    ],
)
@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"spawn": ["x", "${tag}"]}, "spawn[1]"),
        ({"environ": ["A=1", "B=${tag}"]}, "environ[1]"),
        ({"environ": ["A${tag}=1"]}, "environ[0]"),
        ({"directory": "/${tag}"}, "directory"),
    ],
)
def test_values_that_cannot_be_filled_in(value: Any, words: str, members: dict[str, Any], place: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        expand(compile_rule(rule({}, **members)), {"tag": value})
    error = caught.value
    assert (error.member, error.variable) == (place, "tag")
    assert words in error.message
    assert "${tag}" in error.message
    assert str(error) == f"{place}: {error.message}"


def test_values_that_no_template_asks_for_do_not_matter() -> None:
    assert expanded("${tag}", {"tag": "t", "other": ["a"], "more": "\0"}) == "t"


def test_half_a_character_is_no_argument() -> None:
    with pytest.raises(ExpansionError, match="half a character"):
        expanded("${tag}", {"tag": "\ud800"})


class TestEnviron:
    def test_a_name_may_hold_variables(self) -> None:
        recipe = compile_rule(rule({}, environ=["PRIVATE_${channel}=${channel}", "${a}${b}=", "C=${a}=${b}=\\${c}"]))
        values = {"channel": "a5", "a": "X", "b": 9}
        assert expand(recipe, values).environ == (("PRIVATE_a5", "a5"), ("X9", ""), ("C", "X=9=${c}"))

    @pytest.mark.parametrize("value", ["a b", "a-b", "ä", "\n", "1:2!3"])
    def test_a_name_may_be_anything_but(self, value: str) -> None:
        """Debian's own `ssh` package has the id of a channel in one."""
        recipe = compile_rule(rule({}, environ=["A=1", "PRIVATE_${name}=v"]))
        assert expand(recipe, {"name": value}).environ[1] == (f"PRIVATE_{value}", "v")

    @pytest.mark.parametrize("value", ["=", "a=b", ""])
    def test_what_is_no_name_after_expansion(self, value: str) -> None:
        recipe = compile_rule(rule({}, environ=["A=1", "${name}=v"]))
        with pytest.raises(ExpansionError) as caught:
            expand(recipe, {"name": value})
        assert (caught.value.member, caught.value.variable) == ("environ[1]", "name")
        assert "expected a name without =" in caught.value.message

    def test_a_value_cannot_move_the_equals_sign(self) -> None:
        recipe = compile_rule(rule({}, environ=["SAFE_${x}=1"]))
        with pytest.raises(ExpansionError):
            expand(recipe, {"x": "=evil"})

    @pytest.mark.parametrize("entry", ["A", "", "=", "=a", "${a}", "A\0=1"])
    def test_what_cannot_become_name_and_value(self, entry: str) -> None:
        assert split_environ(entry) is None
        with pytest.raises(ValueError, match=r"environ\[0\] is not NAME=value"):
            compile_rule(rule({}, environ=[entry]))


def test_an_empty_directory_is_that_of_the_bridge() -> None:
    recipe = compile_rule(rule({}, directory="${dir}"))
    assert expand(recipe, {}).directory is None
    assert expand(recipe, {"dir": "/srv"}).directory == "/srv"


def test_without_variables_all_opens_get_one_expansion() -> None:
    recipe = compile_rule(rule({}, spawn=["x", "\\${a}", "${}"], environ=["A=b"], directory="/"))
    assert recipe.variables == ()
    assert recipe.fixed == Expansion(("x", "${a}", "${}"), (("A", "b"),), "/")
    assert expand(recipe, {"a": 1}) is expand(recipe, {"a": ["x"]}) is recipe.fixed


def test_the_variables_of_a_rule_each_once_in_order() -> None:
    members = {"spawn": ["${c}", "${a}${c}"], "environ": ["X${d}=${a}"], "directory": "${e}${a}"}
    assert compile_rule(rule({}, **members)).variables == ("c", "a", "d", "e")


def test_expansions_can_be_keys() -> None:
    recipe = compile_rule(rule({}, spawn=["x", "${a}"], environ=["A=${b}"]))
    running = {expand(recipe, {"a": "1", "b": "2", "other": 1}): "helper"}
    assert running[expand(recipe, {"a": 1, "b": 2})] == "helper"
    assert expand(recipe, {"a": "1", "b": "3"}) not in running
    assert expand(recipe, {"a": "12"}) not in running


TEXTS = st.lists(st.sampled_from(["${", "}", "\\", "a", "b", ".", " ", "$", "{", "${a}", "\\${b}", "ä"]), max_size=12)


@properties
@given(TEXTS.map("".join), st.dictionaries(st.sampled_from(["a", "b", "ab", "."]), st.text("x${a}\\", max_size=5)))
def test_against_an_obvious_implementation(text: str, values: dict[str, str]) -> None:
    assert expanded(text, values) == obvious(text, values)


@properties
@given(TEXTS.map("".join))
def test_parts_are_as_few_as_can_be(text: str) -> None:
    parts = parse(text)
    assert "" not in parts
    assert all(isinstance(a, Variable) or isinstance(b, Variable) for a, b in pairwise(parts))


@pytest.mark.parametrize("text", ["${" * 500_000 + "}", "${a" * 300_000 + "}", "\\${a}" * 200_000, "${a}" * 200_000])
def test_a_megabyte_of_template_is_read_in_one_go(text: str) -> None:
    assert parse(text)
