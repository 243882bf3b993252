"""Keeps the customer list "Newsletter readers" in step, once a night."""

import json
import os
import signal
import subprocess
from pathlib import Path

import dagster as dg

FOLDER = Path("/srv/pinterest")
REPORT = FOLDER / "report.json"  # "report_path" in target.json
RETRY_DELAY = 900
RETRY_HELPS = {4, 7, 8}  # Pinterest is not available; the ledger is in use; the tap failed


def run_sync(log):
    """Run sync.sh, log what it prints, and return its exit code. If the step is stopped, stop the run."""
    with subprocess.Popen(
        ["bash", FOLDER / "sync.sh"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout:
                log.info(line.rstrip())
            return process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # tap and target; the target ends within ten seconds


@dg.asset
def pinterest_readers(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The customer list "Newsletter readers" at Pinterest."""
    REPORT.unlink(missing_ok=True)
    code = run_sync(context.log)
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    if code != 0:
        message = f"exit code {code}: {report.get('error') or 'see the last line of the log'}"
        raise dg.Failure(
            message,
            metadata={"report": dg.MetadataValue.json(report)},
            # Otherwise a person has to act; a negative code or one above 128 is a signal.
            allow_retries=code in RETRY_HELPS or code < 0 or code > 128,
        )
    return dg.MaterializeResult(
        metadata={
            "added": sum(each["added"] for each in report.get("lists", [])),
            "removed": sum(each["removed"] for each in report.get("lists", [])),
            "rejected": sum(each["rejected"] for each in report.get("streams", [])),
            "report": dg.MetadataValue.json(report),
        }
    )


nightly = dg.define_asset_job(
    "pinterest_nightly",
    selection=[pinterest_readers],
    op_retry_policy=dg.RetryPolicy(max_retries=3, delay=RETRY_DELAY),
)

defs = dg.Definitions(
    assets=[pinterest_readers],
    jobs=[nightly],
    schedules=[
        dg.ScheduleDefinition(job=nightly, cron_schedule="15 4 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
    ],
)
