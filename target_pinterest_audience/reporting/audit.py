"""Why people were removed, as counts for each request that removed some. Nobody is named, not even by a digest."""

from __future__ import annotations
