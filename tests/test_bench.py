"""What the README shows of the benchmarks is what was measured."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

_BENCH = Path(__file__).resolve().parents[1] / "bench"
_RESULTS = _BENCH / "results"
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def bench() -> dict[str, ModuleType]:
    """The pure modules of the benchmark."""
    sys.path.insert(0, str(_BENCH))
    try:
        return {name: importlib.import_module(name) for name in ("report", "picture")}
    finally:
        sys.path.remove(str(_BENCH))


def measured(served: list[float | None], *, gone: bool = False) -> list[dict[str, Any]]:
    clients = {"answered": 9, "refused": 1}
    return [{"ours": {"served_s": s, "noticed_s": 1.0, "gone": gone, "clients": clients}} for s in served]


def fault(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"fault": name, "window_s": 90, "back_within_s": 70, "runs": runs}


def test_table_and_picture_are_those_of_the_measurement(bench: dict[str, ModuleType]) -> None:
    rows = bench["report"].rows(json.loads((_RESULTS / "outages.json").read_text()))
    assert (_RESULTS / "outages.md").read_text() == bench["report"].table(rows)
    assert (_RESULTS / "outages.svg").read_text() == bench["picture"].picture(rows)


def test_a_median_is_never_where_most_did_not_recover(bench: dict[str, ModuleType]) -> None:
    runs = {
        "flow_forgotten": measured([None, 3.0, None, 1.0, 2.0]),
        "address_changed": measured([None, 3.0, None, 1.0, None]),
        "woken": measured([None, None, None], gone=True),
        "child_killed": [],
    }
    rows = bench["report"].rows({"results": [fault(name, found) for name, found in runs.items()]})
    texts = [row.cells["ours"].text for row in rows]
    assert texts == ["3.00 s", "never (> 90 s)", "never: it ended", "13 of 130"]
    assert [row.cells["ours"].lost for row in rows] == [False, True, True, False]


def test_a_missed_target_is_told(bench: dict[str, ModuleType]) -> None:
    """Seconds, connections, and what was not measured or has no target."""
    results = [
        fault("woken", measured([3.0, 5.0, 4.0])) | {"title": "woken", "target": 4.0},
        fault("flow_forgotten", measured([3.0])) | {"title": "forgotten", "target": 4.0},
        fault("dropped_login", [{"ours": {"dials": 30}}]) | {"title": "dropped", "target": 20},
        fault("blackhole_6", measured([None])) | {"title": "no target", "target": None},
        fault("blackhole_20", []) | {"title": "not measured", "target": 1.0},
    ]
    lines = ["woken: 4 instead of less than 4", "dropped: 30 instead of less than 20"]
    assert bench["report"].missed({"results": results}) == lines


def test_the_picture_is_a_drawing_with_every_number_in_it(bench: dict[str, ModuleType]) -> None:
    rows = bench["report"].rows(
        {"results": [fault("woken", measured([1.5])), fault("flow_forgotten", measured([None]))]}
    )
    drawing = ElementTree.fromstring(bench["picture"].picture(rows))
    texts = [text.text for text in drawing.iter(f"{_SVG}text")]
    assert {"ours", "1.50 s", "never (> 90 s)", "2 of 20"} <= set(texts)
    striped = [rect for rect in drawing.iter(f"{_SVG}rect") if rect.get("fill") == "url(#stripes)"]
    assert len(striped) == 1


@pytest.mark.parametrize(("value", "part"), [(0.0, 0.0), (0.01, 0.03), (200.0, 1.0), (1e9, 1.0)])
def test_bars_have_a_length_that_can_be_seen_and_drawn(bench: dict[str, ModuleType], value: float, part: float) -> None:
    assert bench["picture"].share(value, "seconds") == pytest.approx(part)
