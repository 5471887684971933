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
_MODULES = ("report", "picture", "figures", "lines", "datareport", "datameasures")
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def bench() -> dict[str, ModuleType]:
    """The modules of the benchmarks that decide something."""
    sys.path.insert(0, str(_BENCH))
    try:
        return {name: importlib.import_module(name) for name in _MODULES}
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


def test_table_and_picture_of_the_data_path_are_those_of_the_measurement(bench: dict[str, ModuleType]) -> None:
    results, report = json.loads((_RESULTS / "datapath.json").read_text()), bench["datareport"]
    assert (_RESULTS / "datapath.md").read_text() == report.table(report.rows(results))
    assert (_RESULTS / "datapath.svg").read_text() == bench["picture"].picture(report.drawn(results), report.NOTE)


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


def asking(bench: dict[str, ModuleType], *answers: tuple[float, float] | tuple[float, float, int]) -> list[Any]:
    """When each request was sent, the seconds to its answer, and whose it was."""
    return [bench["figures"].Ask(*answer) for answer in answers]


def test_a_percentile_is_a_value_that_was_measured(bench: dict[str, ModuleType]) -> None:
    percentile = bench["figures"].percentile
    values = [float(value) for value in range(20, 0, -1)]
    assert [percentile(values, percent) for percent in (0, 5, 50, 95, 96, 100)] == [1, 1, 10, 19, 20, 20]
    assert percentile([7.0], 95) == 7.0


def test_a_rate_is_that_of_the_time_asked_about(bench: dict[str, ModuleType]) -> None:
    """Not of what came before it, and evenly between two looks."""
    samples = [(10.0, 0.0), (11.0, 9e6), (13.0, 11e6), (14.0, 11e6)]
    rate = bench["figures"].rate_mbit
    assert rate(samples, 11.0, 13.0) == pytest.approx(8.0)
    assert rate(samples, 12.0, 14.0) == pytest.approx(4.0)
    assert rate(samples, 14.0, 16.0) == 0.0
    assert rate([], 1.0, 2.0) == 0.0
    assert bench["figures"].moved_by(samples, 9.0) == 0.0


def test_a_wait_of_seconds_counts_as_many_times(bench: dict[str, ModuleType]) -> None:
    """Two good answers in a second, and a minute without one: it was a bad minute. Below a second answers count."""
    wait = bench["figures"].wait
    bad = asking(bench, (0.0, 0.3), (0.5, 0.6), (1.1, 60.0))
    assert [wait(bad, percent) for percent in (0, 3, 4, 95)] == pytest.approx([300, 600, 60000, 60000])
    good = asking(bench, *[(n * 0.05, 0.02) for n in range(19)], (1.0, 0.9))
    assert [wait(good, percent) for percent in (50, 95, 96)] == pytest.approx([20, 20, 900])


def test_clients_that_are_alone_are_measured_without_their_connections(bench: dict[str, ModuleType]) -> None:
    asks = asking(bench, (0.0, 0.9, 0), (0.9, 0.8, 1), (1.8, 0.04, 0), (1.9, 0.045, 1), (1.95, 0.9, 0))
    found = bench["figures"].alone(asks, until=2.5)
    assert found == pytest.approx({"idle_p50_ms": 40, "idle_p95_ms": 45})


def test_waits_count_once_the_transfer_has_its_pace(bench: dict[str, ModuleType]) -> None:
    """The longest before that is a figure of its own; what nobody answered is as long as it was waited for."""
    asks = asking(bench, (8.0, 0.04), (9.0, 0.04), (10.0, 0.8), (12.0, 0.1), (12.5, 0.2), (13.0, 7.0))
    found = bench["figures"].beside(asks, began=10.0, warm=12.0, end=20.0)
    assert found == pytest.approx({"p50_ms": 7000, "p95_ms": 7000, "longest_ms": 7000, "start_ms": 800})


def test_an_answer_with_a_connection_is_two_ways_there_and_back(bench: dict[str, ModuleType]) -> None:
    asks = asking(bench, (9.0, 0.04, 0), (12.0, 0.3, 0), (12.5, 0.8, 1))
    found = bench["figures"].beside(asks, began=10.0, warm=12.0, end=20.0)
    assert found == pytest.approx({"p50_ms": 400, "p95_ms": 400, "longest_ms": 400, "start_ms": 0})


def test_clients_without_any_answer_waited_all_the_time(bench: dict[str, ModuleType]) -> None:
    found = bench["figures"].beside(asking(bench, (9.0, 0.04)), began=10.0, warm=12.0, end=22.0)
    assert found == pytest.approx({"p50_ms": 12000, "p95_ms": 12000, "longest_ms": 12000, "start_ms": 0})


def test_who_came_late_waits_for_a_connection_and_an_answer(bench: dict[str, ModuleType]) -> None:
    """Where nobody's turn came, because an answer before theirs did not, they waited as long as it was out."""
    asks = asking(bench, (9.0, 0.04, 0), (10.0, 0.3, 1), (10.3, 0.2, 2), (10.5, 0.4, 1), (11.0, 9.0, 0))
    opened = bench["figures"].opened
    assert opened(asks, [1, 2, 3], end=20.0) == pytest.approx(300)
    assert opened(asks, [3], end=20.0) == pytest.approx(9000)


def test_a_single_long_wait_is_not_lost_in_a_median(bench: dict[str, ModuleType]) -> None:
    runs = [{"p95_ms": value, "longest_ms": value, "back_longest_ms": -value} for value in (5.0, 900.0, 7.0)]
    expected = {"p95_ms": 7.0, "longest_ms": 900.0, "back_longest_ms": -5.0}
    assert bench["figures"].summed_up(runs) == expected


def test_a_series_shows_who_still_waits(bench: dict[str, ModuleType]) -> None:
    asks = asking(bench, (0.1, 0.1), (0.3, 1.0))
    bulk = [(0.0, 0.0), (0.5, 1e6), (1.5, 1e6)]
    moments = bench["figures"].series(asks, bulk, began=0.0, end=1.5)
    assert [(one.at, one.rate_mbit) for one in moments] == [(0.5, 16.0), (1.0, 0.0), (1.5, 0.0)]
    assert [one.p50_ms for one in moments] == [pytest.approx(100), None, pytest.approx(1000)]
    assert [one.longest_ms for one in moments] == pytest.approx([200, 700, 1000])


def test_a_line_is_named_by_its_round_trip(bench: dict[str, ModuleType]) -> None:
    lines = bench["lines"]
    assert {name: line.title for name, line in lines.LINES.items()} == {
        "20": "20 Mbit/s, 40 ms",
        "100": "100 Mbit/s, 20 ms",
        "5": "5 Mbit/s, 80 ms",
        "long": "no bottleneck, 100 ms",
        "lossy": "20 Mbit/s, 40 ms, 1 % loss",
    }
    assert lines.LINES["lossy"].words == ["20", "20", "256", "1"]
    assert [name for name, line in lines.LINES.items() if line.slow] == ["5"]


def test_everything_that_is_measured_of_the_data_path_is_shown(bench: dict[str, ModuleType]) -> None:
    shown = {spec.measurement for spec in bench["datareport"].SPECS}
    assert shown == set(bench["datameasures"].MEASUREMENTS)


def of_data_path(name: str, **runs: list[dict[str, float]]) -> dict[str, Any]:
    """The results of one measurement; an underscore is a hyphen."""
    return {"measurement": name, "programs": {who.replace("_", "-"): found for who, found in runs.items()}}


def waits(p95: float, idle: float = 40.0, rate: float = 18.0) -> dict[str, float]:
    return {
        "p50_ms": 50.0,
        "p95_ms": p95,
        "longest_ms": 2000.0,
        "opened_ms": 90.0,
        "idle_p50_ms": idle,
        "rate_mbit": rate,
    }


def test_what_is_wanted_of_the_data_path_holds_or_is_missed(bench: dict[str, ModuleType]) -> None:
    """Beside our own idle wait, beside ssh, and by itself; medians of the runs."""
    many = {"slowest_s": 6.0, "fastest_s": 1.5, "slowest_by_fastest": 4.0, "longer_ms": 100.0}
    ours = [waits(90.0), waits(81.0), waits(20.0)]
    results = [
        of_data_path("download-20", openclaw_tunnel=ours, ssh=[waits(999.0, rate=19.0)]),
        of_data_path("upload-5", openclaw_tunnel=[waits(200.0, rate=4.4)], ssh=[waits(999.0, rate=5.0)]),
        of_data_path("cold-start", openclaw_tunnel=[{"seconds": 0.5}], ssh=[{"seconds": 0.25}]),
        of_data_path("many-downloads", openclaw_tunnel=[many]),
    ]
    rows = bench["datareport"].rows({"results": results})
    assert [(row.wanted, row.verdict, row.missed) for row in rows] == [
        ("at most 2 x idle", "no: 2.02", True),
        ("", "", False),
        ("at least 0.95 x ssh", "no: 0.947", True),
        ("at most 5 x idle", "yes", False),
        ("", "", False),
        ("at least 0.9 x ssh", "no: 0.88", True),
        ("at most 2 x ssh", "yes", False),
        ("at most 3 x", "no: 4", True),
        ("at most 100 ms", "yes", False),
    ]
    assert rows[0].cells["openclaw-tunnel"] == "50 / 81 / 2,000 ms (40)"


def test_nothing_is_judged_that_was_not_measured(bench: dict[str, ModuleType]) -> None:
    """Where ssh failed, or we were not asked for; where we failed nothing holds."""
    results = [
        of_data_path("connect", openclaw_tunnel=[{"p50_us": 900.0}], ssh=[]),
        of_data_path("memory", ssh=[{"mb": 68.0}]),
        of_data_path("busy", openclaw_tunnel=[], ssh=[{"p50_ms": 0.6}]),
    ]
    rows = bench["datareport"].rows({"results": results})
    assert [(row.cells, row.verdict) for row in rows] == [
        ({"openclaw-tunnel": "900 us", "ssh": "failed"}, ""),
        ({"openclaw-tunnel": "failed", "ssh": "0.6 ms"}, "no: failed"),
        ({"ssh": "68 MB"}, ""),
    ]
    table = bench["datareport"].table(rows)
    assert "| memory of 50 tunnels (PSS) |  | 68 MB | at most 0.7 x ssh |  |" in table


def test_the_picture_of_the_data_path_shows_who_waits(bench: dict[str, ModuleType]) -> None:
    found = of_data_path("upload-20", openclaw_tunnel=[waits(60.0)], ssh=[waits(440.0)], autossh=[])
    results = {"results": [found]}
    drawn = bench["datareport"].drawn(results)
    text = bench["picture"].picture(drawn, bench["datareport"].NOTE)
    texts = {found.text for found in ElementTree.fromstring(text).iter(f"{_SVG}text")}
    assert {"20 Mbit/s, 40 ms", "60 ms", "440 ms", "failed", bench["datareport"].NOTE} <= texts
