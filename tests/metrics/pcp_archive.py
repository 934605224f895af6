"""Writes a small archive of PCP: `python3 pcp_archive.py ROOT ARCHIVE`, run by the system's Python, for which
python3-pcp is built. ROOT is where Debian's packages are unpacked.

Five samples, a second apart, from second 1000 on: `mock.value` is 10, 11 ...; `mock.sizes` is a counter of kB with the
instances red (0, 100, 200 ...) and green (0, 1, 2 ...).
"""

import ctypes.util
import glob
import sys

ROOT, ARCHIVE = sys.argv[1:]
FIRST_SECOND = 1000
SAMPLES = 5


def find_library(name: str) -> str | None:
    """PCP's modules ask for libraries by name, and the system does not know those that are only unpacked."""
    unpacked = glob.glob(f"{ROOT}/usr/lib/lib{name}.so.*")
    return unpacked[0] if unpacked else found_by_the_system(name)


found_by_the_system = ctypes.util.find_library
ctypes.util.find_library = find_library
sys.path.insert(0, f"{ROOT}/usr/lib/python3/dist-packages")

import cpmapi  # noqa: E402
from pcp import pmi  # noqa: E402

log = pmi.pmiLogImport(ARCHIVE)
log.pmiSetHostname("host.example")
log.pmiSetTimezone("UTC")
of_nothing, kilobytes = log.pmiUnits(0, 0, 0, 0, 0, 0), log.pmiUnits(1, 0, 0, cpmapi.PM_SPACE_KBYTE, 0, 0)
colours = log.pmiInDom(60, 1)
log.pmiAddMetric(
    "mock.value", log.pmiID(60, 0, 1), cpmapi.PM_TYPE_U32, cpmapi.PM_INDOM_NULL, cpmapi.PM_SEM_INSTANT, of_nothing
)
log.pmiAddMetric("mock.sizes", log.pmiID(60, 0, 2), cpmapi.PM_TYPE_U32, colours, cpmapi.PM_SEM_COUNTER, kilobytes)
log.pmiAddInstance(colours, "red", 0)
log.pmiAddInstance(colours, "green", 1)
for count in range(SAMPLES):
    log.pmiPutValue("mock.value", "", str(10 + count))
    log.pmiPutValue("mock.sizes", "red", str(100 * count))
    log.pmiPutValue("mock.sizes", "green", str(count))
    log.pmiWrite(FIRST_SECOND + count, 0)
log.pmiEnd()
