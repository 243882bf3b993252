"""`python -m docgen`: bring the generated parts of the documentation up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from docgen import hub
from docgen.about import PAGES, about, declared_utility
from docgen.commands_page import commands_page
from docgen.fences import all_pages, has_transcripts
from docgen.included import with_files
from docgen.json_page import SCHEMAS, json_page, json_schemas
from docgen.pictures import PICTURES
from docgen.recording import recording
from docgen.settings_page import settings_page
from docgen.transcripts import refreshed
from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.settings.stream_settings import PER_STREAM_SETTINGS
from target_pinterest_audience.singer.target import TargetPinterestAudience


def main(arguments: list[str]) -> None:
    """Write the generated files.

    Args:
        arguments: pages whose transcripts and examples to renew; without any, everything is written.
    """
    for path in map(Path, arguments) if arguments else all_pages():
        page = with_files(path.read_text(encoding="utf-8"))
        _write(path, refreshed(page) if has_transcripts(page) else page)
    if not arguments:  # last, since the recording shows a transcript
        for path, text in references().items():
            _write(path, text)


def references() -> dict[Path, str]:
    """Return the files that are generated as a whole, with their content."""
    target = about()
    programs = {"target-pinterest-audience": TargetPinterestAudience.cli, "pinterest-audience": cli}
    return {
        PAGES / "reference" / "settings.md": settings_page(target, PER_STREAM_SETTINGS),
        PAGES / "reference" / "commands.md": commands_page(programs),
        PAGES / "reference" / "json.md": json_page(),
        PAGES / "reference" / SCHEMAS: json_schemas(),
        hub.LOADER: hub.loader(target),
        hub.UTILITY: hub.utility(target, declared_utility()),
        PAGES / "pictures" / "demo.svg": recording((PAGES / "demo.md").read_text(encoding="utf-8")),
        **{PAGES / "pictures" / name: draw().svg() for name, draw in PICTURES.items()},
    }


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")  # noqa: T201 - lists what changed


if __name__ == "__main__":
    main(sys.argv[1:])
