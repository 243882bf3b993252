"""A target as the Singer SDK's template makes one: it hashes addresses and posts them, ten thousand at a time."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, ClassVar

import requests
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink


class StockSink(BatchSink):
    """Sends what `drain` hands over."""

    max_size = 10_000

    def process_batch(self, context: dict[str, Any]) -> None:
        """Hash and send."""
        emails = [record["email"].strip().lower() for record in context["records"] if record.get("email")]
        identities = ",".join(sha256(email.encode()).hexdigest() for email in emails)
        requests.patch(
            f"{self.config['api_url']}/ad_accounts/549755885175/customer_lists/1",
            json={"operation_type": "ADD", "records": identities},
            timeout=60,
        ).raise_for_status()


class StockTarget(Target):
    """The template's target."""

    name = "target-stock"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(th.Property("api_url", th.StringType)).to_dict()
    default_sink_class = StockSink


if __name__ == "__main__":
    StockTarget.cli()
