"""What a class says of itself, and how that is told (docs/internal-bus.md, "Objects")."""

from importlib import import_module
from xml.etree import ElementTree

import pytest

from spanbridge.payloads.bus.bus import OBJECTS
from spanbridge.payloads.bus.interface import Interface, arguments_of, interface_of, method
from spanbridge.payloads.bus.introspect import to_meta, to_xml

from .sample import Kettle

KETTLE = interface_of(Kettle)


def test_a_class_with_its_declaration() -> None:
    assert KETTLE.name == "test.Kettle"
    assert list(KETTLE.properties) == ["Degrees", "Label"]
    assert list(KETTLE.signals) == ["Whistled", "Cold"]
    assert KETTLE.methods["Boil"].waits
    assert not KETTLE.methods["Warm"].waits
    assert [(each.name, each.type.text) for each in KETTLE.methods["Whistle"].takes] == [("note", "s"), ("times", "u")]


def test_as_meta() -> None:
    meta = to_meta(KETTLE)
    assert meta["methods"]["Boil"] == {"in": ["u"], "out": ["u"]}
    assert meta["methods"]["Hear"] == {"in": ["ay", "a(sv)", "a{xd}"], "out": []}
    assert meta["properties"] == {"Degrees": {"flags": "r", "type": "u"}, "Label": {"flags": "r", "type": "s"}}
    assert meta["signals"] == {"Whistled": {"in": ["s", "u"]}, "Cold": {"in": []}}


def test_as_xml() -> None:
    tree = ElementTree.fromstring(to_xml([KETTLE], ["spout"]))  # noqa: S314 - made here
    assert [(child.tag, child.get("name")) for child in tree] == [("interface", "test.Kettle"), ("node", "spout")]
    interface = tree[0]
    two = interface.find("method[@name='Two']")
    assert two is not None
    assert [dict(each.attrib) for each in two] == [
        {"name": "one", "type": "s", "direction": "out"},
        {"name": "other", "type": "as", "direction": "out"},
    ]
    degrees = interface.find("property[@name='Degrees']")
    assert degrees is not None
    assert dict(degrees.attrib) == {"name": "Degrees", "type": "u", "access": "read"}
    whistled = interface.find("signal[@name='Whistled']")
    assert whistled is not None
    assert [dict(each.attrib) for each in whistled] == [{"name": "note", "type": "s"}, {"name": "times", "type": "u"}]


@pytest.mark.parametrize("text", ["s", "s two words", "z name", "s name,, x", "s 1"])
def test_a_declaration_that_is_none_fails_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"found|is no signature"):
        arguments_of(text)
    with pytest.raises(ValueError, match=r"found|is no signature"):
        method("Name", text)(lambda: None)


@pytest.mark.parametrize("path", OBJECTS)
def test_every_object_says_what_it_offers(path: str) -> None:
    """And takes as many arguments as it says."""
    module, name = OBJECTS[path]
    kind = getattr(import_module(module, "spanbridge.payloads.bus"), name)
    interface: Interface = interface_of(kind)
    assert interface.name.startswith(("cockpit.", "spanbridge."))
    assert kind.__doc__
    for each in interface.methods.values():
        assert each.function.__code__.co_argcount == 1 + len(each.takes), each.name
    for prop in interface.properties.values():
        assert prop.read.__code__.co_argcount == 1
