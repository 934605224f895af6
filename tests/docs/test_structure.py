"""The house as `make structure` draws it; which room may import which is for the contracts in pyproject.toml."""

from itertools import pairwise

import grimp

from ..structure import FLOORS, PACKAGE, look


def test_no_circles_and_a_chain_that_is_one() -> None:
    found = look()
    assert found.circles == []
    assert len(found.floors) <= FLOORS, " > ".join(found.floors)
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    for importer, imported in pairwise(found.floors):
        assert graph.direct_import_exists(importer=f"{PACKAGE}.{importer}", imported=f"{PACKAGE}.{imported}")


def test_the_protocol_and_manifests_import_nothing_of_ours() -> None:
    assert {importer for importer, _, _ in look().arrows}.isdisjoint({"protocol", "manifests"})
