"""How full the disks are, over time: a sample each minute, an alert, and what a page plots."""

import asyncio
import os
import time

from spanbridge.extensions import HttpError

name = "disk-history"
version = "1.0.0"

PLACES = {"root": "/", "home": "/home"}
EVERY_SECONDS = 60
FULL_PERCENT = 90


def used_percent(path):
    """As df tells it: of what users may have."""
    found = os.statvfs(path)
    used = found.f_blocks - found.f_bfree
    return 100 * used / (used + found.f_bavail)


def sample(services):
    """Record each place now, and look at the alerts."""
    for place, path in PLACES.items():
        try:
            services.metrics_history.record(f"used.{place}", used_percent(path))
        except OSError as error:
            print(f"{path}: {error.strerror}")
    services.broadcast("sample", {"time": time.time()})
    return services.alert_engine.evaluate()


async def sample_on_and_on(services):
    while True:
        sample(services)
        await asyncio.sleep(EVERY_SECONDS)


async def init(router, services):
    for place in PLACES:
        services.alert_engine.define(
            f"full.{place}", f"used.{place}", ">", FULL_PERCENT, for_seconds=120, keep_seconds=600
        )
    background = asyncio.get_running_loop().create_task(sample_on_and_on(services))

    @router.get("/places")
    def places(req):
        return PLACES

    @router.get("/history/:place")
    def history(req):
        place = req.params["place"]
        if place not in PLACES:
            raise HttpError(404, f"there is no place {place}", "no-such-place")
        hours = float(req.query.get("hours", 24))
        step = max(60, int(hours * 3600 / 200) // 60 * 60)
        end = (time.time() // 60 + 1) * 60
        return {
            "step": step,
            "points": services.metrics_history.query(f"used.{place}", end - hours * 3600, end, step, "max"),
        }

    @router.post("/sample")
    def now(req):
        return {"alerts": sample(services), "sampling": not background.done()}
