"""The demo: it runs, it tells the truth, and its page shows what it prints."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docgen.fences import Fence, parse
from docgen.transcripts import comparable
from target_pinterest_audience.demo import customers
from tests.support.processes import environment

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"


@pytest.fixture(scope="module")
def printed() -> str:
    code = "from target_pinterest_audience.companion.main import main; main(['demo'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False, timeout=60,
        env=environment(PYTHONIOENCODING="utf-8"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_shows_the_figures_of_its_stream(printed: str) -> None:
    rows = [json.loads(line)["record"] for line in customers.messages(next_day=True) if '"RECORD"' in line]
    assert len(rows) == customers.CUSTOMERS
    uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
    mail = re.compile(r"[\w.]+@(example\.com|example\.org|mail\.example\.net)")
    added: set[str] = set()
    for row in rows:
        if row.get("_sdc_deleted_at"):
            continue
        email = (row.get("email") or "").strip().lower()
        if re.fullmatch(r"[0-9a-f]{64}", email):
            added.add(email)
        elif mail.fullmatch(email):
            added.add(hashlib.sha256(email.encode()).hexdigest())
        phone = row.get("phone") or ""
        if phone.startswith(("+", "00")):
            digits = "".join(each for each in phone.replace("(0)", "") if each.isdigit()).removeprefix("00")
            added.add(f"phone {digits}")
        for value, cased in ((row.get("idfa"), str.upper), (row.get("gaid"), str.lower)):
            if value and uuid.fullmatch(value) and set(value) != {"0", "-"}:
                added.add(hashlib.sha256(cased(value).encode()).hexdigest())
    assert re.search(rf'customer list "customers", id \d+: {len(added):,} members, READY', printed)
    assert "Requests that contain a plain address: 0" in printed
    assert "PATCH: REMOVE 3\n   PATCH: ADD 1\n" in printed


def test_the_page_shows_what_the_demo_prints(printed: str) -> None:
    (transcript,) = [part for part in parse(PAGE.read_text(encoding="utf-8")) if isinstance(part, Fence) and part.run]
    assert transcript.lines[0] == "$ pinterest-audience demo"
    assert comparable("\n".join(transcript.lines[1:])) == comparable(printed)
