"""The page that `report --html` writes: what it says, that it is safe, and that it fits a phone, in a real browser."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.ledger.history import Ending, ListFigures, RemovalEntry
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.reporting.alerts.rules import Thresholds
from target_pinterest_audience.reporting.history import HistoryView, read_history
from target_pinterest_audience.reporting.page import charts, render
from target_pinterest_audience.reporting.page.elements import el, prose, serialise
from target_pinterest_audience.reporting.page.formats import short
from target_pinterest_audience.reporting.page.periods import group_runs
from tests.support.account import ACCOUNT
from tests.support.browser import Browser
from tests.support.ledger_histories import BEGUN, HOUR, begin_run, end_run, invent
from tests.support.ledgers import API

HOSTILE = (
    "</title><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & 'x'\x00\ud800"
)
LONG = "without_any_place_to_break_" * 8
DAY = 24 * HOUR
LIMITS = Thresholds(rejected_percent=5, size_change_percent=30, stale_hours=26, match_drop_percent=20)


def view_of(folder: Path, names: Sequence[str], runs: int, every: float = HOUR) -> HistoryView:
    with closing(open_ledger(f"sqlite:///{folder}/ledger.db", API, ACCOUNT, wait_seconds=1)) as ledger:
        invent(ledger, names, runs, every=every)
        return read_history(ledger, 5_000)


def page_of(folder: Path, names: Sequence[str], runs: int, every: float = HOUR) -> str:
    view = view_of(folder, names, runs, every)
    return render(view, ACCOUNT, max([BEGUN, *(run.started + HOUR for run in view.runs)]), LIMITS)


class Reader(HTMLParser):
    """What is in a page: its tags with their attributes, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def count(self, tag: str) -> int:
        return sum(each == tag for each, _ in self.tags)


class TestWords:
    def test_the_page_explains_why_an_audience_shrank(self, tmp_path: Path) -> None:
        with closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db", API, ACCOUNT, wait_seconds=1)) as ledger:
            with ledger.transaction():
                number = ledger.catalogue.lists.add("2542620639259", "Newsletter").number
                ledger.catalogue.lists.change_members(number, 940)
                for place, (members, added, removed) in enumerate([(1_000, 1_000, 0), (940, 5, 65)]):
                    entry = begin_run(ledger, "main", BEGUN + place * DAY)
                    figures = ListFigures(number, members, None, added, removed, 2, {"NOT_AN_EMAIL": 3})
                    end_run(ledger, entry, Ending(BEGUN + place * DAY + 9, 0, 4, 0.0), [figures], [number])
                causes = {"delete": 60, "refusal": 5}
                ledger.history.note_removal(RemovalEntry(entry, number, BEGUN + DAY, causes, "17"))
            text = Reader(render(read_history(ledger, 10), ACCOUNT, BEGUN + DAY, LIMITS)).text
        assert "Identities 940" in text
        assert "Since 21 Sep -60" in text
        assert "In this period, 1,005 identities were added and 65 removed." in text
        assert "60 of the 65 were removed because their row was deleted in your data." in text
        assert "Refused . They withdrew their consent" in text
        # The values of the newest run, not the sum of all runs.
        assert "Not an e-mail address 3 Refused by Pinterest, although its form is correct 2" in text
        assert "On 22 Sep 2026: 5 bad values, as many as on 21 Sep 2026" in text
        assert "To get their lines and columns, set rejects_path ." in text
        assert "None had to wait" in text
        assert "22 Sep 2026, 14:13: 5 added, 65 removed (60 deleted, 5 refused)" in text

    def test_a_page_without_runs_says_what_to_do(self, tmp_path: Path) -> None:
        assert "Run the target, then create this page again" in Reader(page_of(tmp_path, ["Newsletter"], 0)).text

    def test_one_run_has_no_curve(self, tmp_path: Path) -> None:
        page = Reader(page_of(tmp_path, ["Newsletter"], 1))
        assert page.count("svg") == 0
        assert page.count("table") == 2

    def test_a_repaired_failure_is_marked_in_the_charts_and_listed_in_the_table_alone(self, tmp_path: Path) -> None:
        page = Reader(page_of(tmp_path, ["Newsletter"], 29))
        assert "Failures to repair 0" in page.text
        assert "Do something about it" not in page.text
        assert "run failed: Pinterest unavailable" in page.text
        assert ("path", "failed") in {(tag, each.get("class")) for tag, each in page.tags}

    @pytest.mark.parametrize(
        ("runs", "every", "each", "most"),
        [(60, HOUR, "run", 60), (200, HOUR / 4, "hour", 51), (2_000, HOUR, "day", 85)],
    )
    def test_many_runs_are_group_runs(self, runs: int, every: float, each: str, most: int) -> None:
        periods = group_runs([BEGUN + n * every for n in range(runs)])
        assert periods.each == each
        assert len(periods.periods) <= most
        assert [place for period in periods.periods for place in period.runs] == list(range(runs))

    def test_a_page_of_two_thousand_runs_is_small(self, tmp_path: Path) -> None:
        page = page_of(tmp_path, ["Newsletter"], 2_000)
        assert len(page) < 300_000
        assert "1,800 runs, from 21 Sep 2026 to 13 Dec 2026" in Reader(page).text

    def test_a_thousand_lists_are_not_all_shown(self, tmp_path: Path) -> None:
        page = Reader(page_of(tmp_path, [f"list {n}" for n in range(1_000)], 2))
        assert "800 more lists are not shown here" in page.text
        assert "Details follow for 25 lists" in page.text
        assert page.count("h2") == 25 + 4


class TestCharts:
    def test_a_scale_that_does_not_begin_at_zero_says_so(self) -> None:
        chart = charts.line_chart([charts.Line([(0, 1_000_000), (9, 1_000_900)], "members")], (0, 9), "members")
        words = [each.text for each in chart.iter() if each.text]
        assert "The scale begins at 999,000, not at 0." in words
        assert words[:3] == ["1.001M", "1M", "999K"]

    @pytest.mark.parametrize(
        ("counts", "labels"),
        [((1282, 1286), ["1,286", "1,281"]), ((0, 1), ["1", "0"]), ((1282, 1285), ["1,285", "1,283", "1,281"])],
    )
    def test_the_labels_of_a_scale_are_whole_numbers(self, counts: tuple[int, int], labels: list[str]) -> None:
        chart = charts.line_chart([charts.Line([*enumerate(counts)], "members")], (0, 9), "members")
        (scale,) = (each for each in chart.iter("div") if each.get("class") == "scale")
        assert [each.text for each in scale] == labels

    @given(counts=st.lists(st.integers(0, 10**9), min_size=1), several=st.booleans())
    def test_no_scale_has_a_fraction_of_a_count(self, counts: list[int], *, several: bool) -> None:
        line = charts.Line([*enumerate(counts)], "members")
        for chart in (
            charts.line_chart([line] * (1 + several), (0, 9), "members"),
            charts.bars_chart([charts.Bar(each, each // 2, "") for each in counts], ("", ""), "added"),
        ):
            (scale,) = (each for each in chart.iter("div") if each.get("class") == "scale")
            # Great numbers are in millions.
            small = [each.text for each in scale if each.text is not None and each.text[-1] not in "KMB"]
            assert all("." not in each for each in small)

    def test_a_first_load_does_not_flatten_the_days_after_it(self) -> None:
        bars = [charts.Bar(40_000, 0, "the first")] + [charts.Bar(10, 3, f"day {n}") for n in range(29)]
        chart = charts.bars_chart(bars, ("", ""), "added")
        heights = [float(each.get("height", 0)) for each in chart.iter("rect")]
        assert min(heights) > 5
        assert "Cut off because they exceed the scale: the first." in [each.text for each in chart.iter("p")]

    def test_failed_runs_are_marked_once_for_each_place(self) -> None:
        chart = charts.line_chart([charts.Line([(0, 5), (9_000, 7)], "members")], (0, 10_000), "x", [1, 2, 5_000])
        marks = [each.get("d") for each in chart.iter("path") if each.get("class") == "failed"]
        assert marks == ["M0 0V100", "M500 0V100"]
        chart = charts.bars_chart([charts.Bar(1, 0, ""), charts.Bar(0, 0, "", failed=True)], ("", ""), "x")
        assert [each.get("class") for each in chart.iter("rect")] == ["up", "failed"]

    @pytest.mark.parametrize(
        ("points", "line"),
        [([(0, 5), (9, 5)], "M0 10.0H0V10.0H120V10.0"), ([(0, 1), (1, 1), (9_999, 3)], "M0 20.0H0V20.0H120V0.0")],
    )
    def test_a_small_line_has_no_scale_and_no_more_points_than_places(
        self, points: list[tuple[float, float]], line: str
    ) -> None:
        (path,) = charts.sparkline(points, "x").iter("path")
        assert path.get("d") == line

    @pytest.mark.parametrize("values", [[(0, 0)], [(0, 3)], [(5, 5)] * 3, [(10**9, 1)]])
    def test_all_values_are_within_the_chart(self, values: list[tuple[int, int]]) -> None:
        chart = charts.bars_chart([charts.Bar(up, down, "") for up, down in values], ("", ""), "x")
        for each in chart.iter("rect"):
            upper, height = float(each.get("y", 0)), float(each.get("height", 0))
            assert -1 <= upper <= upper + height <= 101

    @pytest.mark.parametrize(
        ("number", "words"), [(0, "0"), (1.5, "1.5"), (99_999, "99,999"), (250_000, "250K"), (1_234_000, "1.234M")]
    )
    def test_numbers_are_abbreviated(self, number: float, words: str) -> None:
        assert short(number) == words


class TestSafety:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [("Set `a`, or `b`.", "<p>Set <code>a</code>, or <code>b</code>.</p>"), ("A list `x", "<p>A list `x</p>")],
    )
    def test_names_of_settings_are_shown_as_code(self, text: str, shown: str) -> None:
        assert shown in serialise(el("p", *prose(text)))

    def test_the_name_of_a_list_is_always_escaped(self, tmp_path: Path) -> None:
        page = page_of(tmp_path, [HOSTILE.replace("\ud800", ""), "b"], 3)
        page.encode()
        read = Reader(page)
        assert read.count("script") == read.count("img") == 0
        assert "<script>document.title='taken'</script>" in read.text

    def test_a_character_that_no_page_may_contain_is_replaced(self) -> None:
        run = HistoryView(f"{HOSTILE}", [], [], [])
        render(run, HOSTILE, BEGUN, LIMITS).encode()

    def test_the_page_loads_nothing(self, tmp_path: Path) -> None:
        page = page_of(tmp_path, ["Newsletter", "Buyers"], 30)
        read = Reader(page)
        addresses = [
            value for _, each in read.tags for name, value in each.items() if name in {"src", "href", "action"}
        ]
        assert {str(each)[:1] if str(each).startswith("#") else each for each in addresses} == {"#", "data:,"}
        assert not re.search(r"https?://|url\(|@import", page)
        policies = [each.get("content") for tag, each in read.tags if tag == "meta" and "http-equiv" in each]
        assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


class TestAccess:
    def test_each_chart_has_a_description_and_each_list_a_table(self, tmp_path: Path) -> None:
        read = Reader(page_of(tmp_path, ["Newsletter", "Buyers"], 30))
        charts_ = [each for tag, each in read.tags if tag == "svg"]
        assert len(charts_) == 2 * (4 + 1) + 2
        assert all(each["role"] == "img" and each["aria-label"] for each in charts_)
        assert read.count("table") == 2 + 1

    @pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
    def test_text_and_marks_have_enough_contrast(self, scheme: int) -> None:
        style = (
            resources.files("target_pinterest_audience.reporting.page")
            .joinpath("style.css")
            .read_text(encoding="utf-8")
        )
        blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[scheme]))
        for behind in ("page", "card"):
            for words in ("ink", "quiet", "size"):
                assert contrast(colours[words], colours[behind]) >= 4.5
            for words in ("danger", "warning", "note", "good"):
                assert contrast(colours[words], colours[behind]) >= 4.5
            for mark in ("size", "matched", "up", "down", "rejected", "calls", "waits"):
                assert contrast(colours[mark], colours[behind]) >= 3


def contrast(one: str, other: str) -> float:
    """The contrast of two colours by WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Not into the tests' output."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a server of the test's folder, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Quiet,), {"asked": asked})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/page.html", asked
        server.shutdown()


OVERFLOWING = """
return [...document.querySelectorAll('body *')].filter(each =>
    !each.closest('.wide') && !each.closest('svg') && each.getBoundingClientRect().right > window.innerWidth + 0.5
).map(each => each.outerHTML.slice(0, 80))
"""


def test_on_paper_the_page_is_light_even_if_the_screen_is_dark(
    browser: Browser, served: tuple[str, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(page_of(tmp_path, ["Newsletter"], 30), encoding="utf-8")
    schemes = {}
    try:
        for media in ("screen", "print"):
            dark = [{"name": "prefers-color-scheme", "value": "dark"}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": dark})
            browser.get(served[0])
            look = "const look = getComputedStyle(document.body); return [look.colorScheme, look.color]"
            schemes[media] = browser.execute_script(look)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert schemes == {"screen": ["light dark", "rgb(232, 237, 242)"], "print": ["light", "rgb(27, 31, 36)"]}


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize(
    ("names", "runs"),
    [(["Newsletter"], 0), (["Newsletter"], 1), (["Newsletter"], 30), ([LONG, HOSTILE[:-1], "Käufer"], 2_000)],
    ids=["no runs", "one run", "30 runs", "2,000 runs of three lists"],
)
def test_in_a_browser_everything_fits_and_nothing_is_loaded(
    browser: Browser, served: tuple[str, list[str]], tmp_path: Path, names: list[str], runs: int, width: int
) -> None:
    (tmp_path / "page.html").write_text(page_of(tmp_path, names, runs), encoding="utf-8")
    address, asked = served
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)
    browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OVERFLOWING) == []
    assert browser.title == f"Pinterest audiences of ad account {ACCOUNT}"
    assert asked == ["/page.html"]
    assert browser.execute_script("return performance.getEntriesByType('resource').map(each => each.name)") == []
