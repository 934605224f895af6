"""Run with pytest, where spanbridge is installed."""

from spanbridge.extensions.testing import extension

__all__ = ["extension"]


def test_history(extension):
    page = extension(__file__)
    assert page.get("/places").json["root"] == "/"
    told = page.post("/sample").json
    assert told["sampling"]
    assert {alert["name"] for alert in told["alerts"]} == {"full.root", "full.home"}
    points = [value for _, value in page.get("/history/root?hours=1").json["points"] if value is not None]
    assert points
    assert all(0 <= value <= 100 for value in points)
    assert page.get("/history/attic").status == 404
