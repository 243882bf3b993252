"""A target from the Singer SDK's template: it hashes addresses and sends them, 10,000 at a time."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, ClassVar

import requests
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink


class StockSink(BatchSink):
    """Sends one batch at a time."""

    max_size = 10_000

    def process_batch(self, context: dict[str, Any]) -> None:
        """Hash the addresses of a batch, and send them."""
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
