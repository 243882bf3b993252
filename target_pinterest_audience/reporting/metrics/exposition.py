"""Prometheus's text format, as far as gauges need it. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from target_pinterest_audience.text.redaction import redact
from target_pinterest_audience.text.safe_text import one_line

Labels = tuple[tuple[str, str], ...]
"""Pairs of a label's name and its value."""

Samples = Mapping[Labels, float]

_PREFIX: Final = "target_pinterest_audience_"
_SAMPLE: Final = re.compile(rf"^{_PREFIX}(\w+)\{{(.*)\}} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"'}
_ESCAPED: Final = re.compile(r"\\(.)")


class Gauge(NamedTuple):
    """A metric whose value can rise and fall.

    Attributes:
        name: its name, without the prefix that all metrics have.
        help: what it measures.
        samples: its values. Without any, the metric is left out.
    """

    name: str
    help: str
    samples: Samples


def shown(text: str) -> str:
    """Return a name from Pinterest or a tap as a label shows it: on one line, and without anything like an address."""
    return redact(one_line(text))


def render(gauges: Iterable[Gauge], loader: str) -> str:
    """Return metrics as text.

    Args:
        gauges: the metrics.
        loader: the value of the label `loader`, which every sample has.
    """
    return "".join(f"{line}\n" for gauge in gauges if gauge.samples for line in _lines(gauge, loader))


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """Return the samples in a text that `render` made, without the label `loader`; lines of another form do not count.

    Returns:
        Name of a metric, without the prefix → its samples.
    """
    found: dict[str, dict[Labels, float]] = {}
    for name, labels, value in _SAMPLE.findall(text):
        pairs = [(label, _ESCAPED.sub(r"\1", escaped)) for label, escaped in _LABEL.findall(labels)]
        try:
            number = float(value)
        except ValueError:
            continue
        found.setdefault(name, {})[tuple(pair for pair in pairs if pair[0] != "loader")] = number
    return found


def _lines(gauge: Gauge, loader: str) -> Iterator[str]:
    name = f"{_PREFIX}{gauge.name}"
    yield f"# HELP {name} {gauge.help}"
    yield f"# TYPE {name} gauge"
    for labels, value in gauge.samples.items():
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in (("loader", shown(loader)), *labels))
        yield f"{name}{{{pairs}}} {value:.15g}"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(each, each) for each in text)
