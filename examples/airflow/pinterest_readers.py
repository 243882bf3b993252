"""Keeps the customer list "Newsletter readers" in step, once a night. For Airflow 2 and 3."""

import json
import logging
import os
import signal
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    from airflow.sdk import dag, task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException

FOLDER = Path("/srv/pinterest")
REPORT = FOLDER / "report.json"  # "report_path" in target.json
RETRY_DELAY = timedelta(minutes=15)
RETRY_HELPS = {4, 7, 8}  # Pinterest is not available; the ledger is in use; the tap failed
log = logging.getLogger(__name__)


def run_sync():
    """Run sync.sh, log what it prints, and return its exit code. If Airflow stops the task, stop the run."""
    with subprocess.Popen(
        ["bash", FOLDER / "sync.sh"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:

        def stop(*_):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # tap and target; the target ends within ten seconds

        before = signal.signal(signal.SIGTERM, stop)
        try:
            for line in process.stdout:
                log.info(line.rstrip())
            return process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
            stop()  # after a time-out


@dag(schedule="15 4 * * *", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1)
def pinterest_readers():
    @task(retries=3, retry_delay=RETRY_DELAY, execution_timeout=timedelta(hours=3))
    def sync(ti=None):
        REPORT.unlink(missing_ok=True)
        code = run_sync()
        report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
        ti.xcom_push(key="report", value=report)
        if code == 0:
            return {
                "added": sum(each["added"] for each in report.get("lists", [])),
                "removed": sum(each["removed"] for each in report.get("lists", [])),
                "rejected": sum(each["rejected"] for each in report.get("streams", [])),
            }
        message = f"exit code {code}: {report.get('error') or 'see the last line of the log'}"
        if code in RETRY_HELPS or code < 0 or code > 128:  # or a signal ended it
            raise RuntimeError(message)
        raise AirflowFailException(message)  # a person has to act: a retry would fail in the same way

    sync()


pinterest_readers()
