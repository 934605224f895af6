"""A manifest as it is written: its members, their types and what they are for, as data.

Not used to read one: the loader forgives what an editor should not. From here come the JSON Schema, and the names that
a misspelt member is compared with.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

_NAME = r"^[A-Za-z0-9_-]+$"
_VERSION = r"^[0-9]+(\.[0-9]+)*$"
_VARIABLE = r"\$\{[A-Za-z0-9._-]+\}"
_OF_AN_OPEN = r"(^|[^\\])\$\{(?!libexecdir\})[A-Za-z0-9._-]+\}"


class Condition(Struct, rename="kebab", forbid_unknown_fields=True):
    """A condition: an object with exactly one member."""

    path_exists: Annotated[str, Meta(description="Holds if this path exists.")] | UnsetType = UNSET
    path_not_exists: Annotated[str, Meta(description="Holds if this path does not exist.")] | UnsetType = UNSET
    any: Annotated["list[_Condition]", Meta(description="Holds if one of them does.", min_length=1)] | UnsetType = UNSET


_Condition = Annotated[Condition, Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})]


class Requires(Struct, forbid_unknown_fields=True):
    """What the package needs. Requirements of another name are never met."""

    cockpit: (
        Annotated[
            str,
            Meta(
                description="The oldest protocol generation it works with: dotted numbers. "
                "`spanbridge --version` states the one at hand.",
                pattern=_VERSION,
                examples=["300"],
            ),
        ]
        | UnsetType
    ) = UNSET


class Bridge(Struct, forbid_unknown_fields=True):
    """A rule: which opens it takes, and the command that serves them. Or, if privileged, a superuser bridge."""

    spawn: (
        Annotated[
            list[str],
            Meta(
                description="The command and its arguments. Without a slash it is looked for in PATH, that of its own "
                "environment. There is no shell. ${name} becomes the value of that member of the open. Without spawn, "
                "and with a problem, the rule refuses what it matches.",
                min_length=1,
                examples=[["/usr/libexec/example-bridge", "--tag", "${tag}"]],
                extra_json_schema={"prefixItems": [{"type": "string", "minLength": 1}]},
            ),
        ]
        | UnsetType
    ) = UNSET
    match: (
        Annotated[
            dict[str, Any],
            Meta(
                description="Which opens it takes: each member must be satisfied. null: the member is there. A string: "
                "the same string, * and ? as wildcards. Anything else: an equal value. {} matches every open.",
                examples=[{"payload": "example"}],
            ),
        ]
        | UnsetType
    ) = UNSET
    environ: (
        Annotated[
            list[Annotated[str, Meta(pattern=r"^[^=]+=")]],
            Meta(description="NAME=value, added to the environment. ${name} is a member of the open, in both."),
        ]
        | UnsetType
    ) = UNSET
    directory: Annotated[str, Meta(description="Working directory; the bridge's own by default.")] | UnsetType = UNSET
    problem: (
        Annotated[
            str,
            Meta(
                description="The code that channels close with if the program cannot be started. Without it they go on "
                "to the next rule that matches. Without spawn: the code that all it matches is refused with.",
                examples=["access-denied", "not-supported", "not-found", "no-host"],
            ),
        ]
        | UnsetType
    ) = UNSET
    timeout: (
        Annotated[
            float,
            Meta(
                description="Seconds after which the program is stopped when it has no channel; without it, it stays "
                "to the end of the session.",
                ge=0,
            ),
        ]
        | UnsetType
    ) = UNSET
    privileged: Annotated[bool, Meta(description="It is a superuser bridge: no match, no variables.")] | UnsetType = (
        UNSET
    )
    label: Annotated[str, Meta(description="Its name for people.")] | UnsetType = UNSET
    method: (
        Annotated[
            Literal["spawn", "StartTransientUnit"],
            Meta(description="How a superuser bridge is started: by this bridge, or as root by systemd."),
        ]
        | UnsetType
    ) = UNSET
    polkit: (
        Annotated[bool, Meta(description="The user is asked what polkit asks while a superuser bridge comes up.")]
        | UnsetType
    ) = UNSET


_Bridge = Annotated[
    Bridge,
    Meta(
        extra_json_schema={
            "if": {"properties": {"privileged": {"const": True}}, "required": ["privileged"]},
            "then": {
                "required": ["spawn"],
                "not": {"required": ["match"]},
                "properties": {
                    "spawn": {"items": {"not": {"pattern": _OF_AN_OPEN}}},
                    "environ": {"items": {"not": {"pattern": _OF_AN_OPEN}}},
                    "directory": {"not": {"pattern": _OF_AN_OPEN}},
                },
            },
            "else": {"required": ["match"], "anyOf": [{"required": ["spawn"]}, {"required": ["problem"]}]},
        }
    ),
]


class Keywords(Struct):
    """Words that a search in the menu finds the page by."""

    matches: list[str]
    goto: Annotated[str, Meta(description="Where in the front end they lead to.")] | UnsetType = UNSET
    weight: float | UnsetType = UNSET
    translate: bool | UnsetType = UNSET


class Docs(Struct):
    """A link to documentation."""

    label: str
    url: str


class Item(Struct):
    """A page in a menu."""

    label: Annotated[str, Meta(description="As the menu shows it.")] | UnsetType = UNSET
    order: Annotated[float, Meta(description="Items are sorted by it.")] | UnsetType = UNSET
    path: Annotated[str, Meta(description="File of the page; NAME.html by default.")] | UnsetType = UNSET
    docs: list[Docs] | UnsetType = UNSET
    keywords: list[Keywords] | UnsetType = UNSET


class Parent(Struct):
    """The page that this package's pages belong to."""

    component: str
    docs: list[Docs] | UnsetType = UNSET


_Items = dict[str, Item]


class Manifest(Struct, rename="kebab"):
    """manifest.json of a package. Members that are not listed are for the package's own pages."""

    schema: Annotated[str, Meta(description="Where this schema is, for editors.")] | UnsetType = field(
        name="$schema", default=UNSET
    )
    name: (
        Annotated[str, Meta(description="The package's name, instead of the directory's.", pattern=_NAME)] | UnsetType
    ) = UNSET
    priority: (
        Annotated[
            float,
            Meta(
                description="1 by default. Of packages with one name the one with the highest is used, and its "
                "rules are tried before those of packages with a lower priority.",
            ),
        ]
        | UnsetType
    ) = UNSET
    conditions: (
        Annotated[list[_Condition], Meta(description="The package is used where all of these hold.")] | UnsetType
    ) = UNSET
    requires: Requires | UnsetType = UNSET
    require: (
        Annotated[
            Requires,
            Meta(description="An old spelling of requires.", extra_json_schema={"deprecated": True}),
        ]
        | UnsetType
    ) = UNSET
    bridges: (
        Annotated[list[_Bridge], Meta(description="The rules, in the order in which they are tried.")] | UnsetType
    ) = UNSET
    menu: Annotated[_Items, Meta(description="Pages in the main menu, by file.")] | UnsetType = UNSET
    tools: Annotated[_Items, Meta(description="Pages in the menu of tools, by file.")] | UnsetType = UNSET
    dashboard: Annotated[_Items, Meta(description="Pages for several machines, by file.")] | UnsetType = UNSET
    content_security_policy: (
        Annotated[
            str,
            Meta(
                description="Content-Security-Policy of the package's pages; printable ASCII. What it does not name is "
                "as strict as without it.",
                pattern=r"^[ -~]*$",
            ),
        ]
        | UnsetType
    ) = UNSET
    preload: (
        Annotated[list[str], Meta(description="Pages that the front end loads before they are asked for.")] | UnsetType
    ) = UNSET
    parent: Parent | UnsetType = UNSET
    locales: Annotated[dict[str, str], Meta(description="Languages to choose from: code and name.")] | UnsetType = UNSET
    version: Annotated[str | float, Meta(description="The package's own version.")] | UnsetType = UNSET


def _names(struct: type[Struct]) -> frozenset[str]:
    return frozenset(struct.__struct_encode_fields__)


MEMBERS: Final = _names(Manifest)
"""Those of the manifest that mean something to the bridge or to front ends. It may have others."""
KNOWN: Final = _names(Bridge)
"""The members an entry of `bridges` may have. Others are ignored."""
CONDITIONS: Final = _names(Condition)
REQUIREMENTS: Final = _names(Requires)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of manifest.json."""
    import msgspec

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "manifest.json of a package",
        **msgspec.json.schema(Manifest),
    }
