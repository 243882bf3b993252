"""What the pages show is what the program prints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from docgen.fences import has_transcripts, pages_in_order
from docgen.transcripts import comparable, differences, differences_in_one_folder, refreshed

PAGES = [page for page in pages_in_order() if has_transcripts(page.read_text(encoding="utf-8"))]

EXAMPLE = """\
<!-- run -->
```console
$ echo "at 2026-01-02 03:04:05, id 1795366529160,
> 12 rows"
at 2025-11-11 11:11:11, id 1111111111111,
12 rows
$ echo "13 rows"
12 rows
```
"""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_transcripts_match_what_the_program_prints(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if "curl " in text and shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    assert list(differences(text)) == [], "call `python -m docgen`, and look at what changed"


@pytest.mark.timeout(1800)
def test_the_pages_work_in_the_order_of_the_site_in_one_folder() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    found = {page.stem: list(each) for page, each in zip(PAGES, differences_in_one_folder(texts), strict=True)}
    assert {page: each for page, each in found.items() if each} == {}, (
        "these pages disturb each other: give each its own ledger, and its lists names that no other page uses"
    )


def test_most_pages_have_transcripts() -> None:
    assert len(PAGES) >= 10


def test_only_times_and_ids_may_differ() -> None:
    assert list(differences(EXAMPLE)) == [('$ echo "13 rows"', "12 rows", "13 rows")]


def test_a_page_is_rewritten_only_if_something_changed() -> None:
    new = EXAMPLE.replace('13 rows"\n12 rows', '13 rows"\n13 rows')
    assert refreshed(new) == new
    assert refreshed(EXAMPLE) == new.replace(
        "at 2025-11-11 11:11:11, id 1111111111111", "at 2026-01-02 03:04:05, id 1795366529160"
    )


def test_durations_may_differ_with_or_without_a_unit() -> None:
    assert comparable("run   done         0.1         4     0.0") == comparable(
        "run   done        12.3         4     0.0"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sent 1 identity", "sent 2 identities"),
        ("exit code 0", "exit code 1"),
        ("READY", "TOO_SMALL"),
        ("a" * 64, "b" * 64),
        ("members  10", "members  11"),
    ],
)
def test_other_differences_are_found(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)
