"""Settings of property tests: the same examples in every run, and no deadline, so that none fails by chance."""

from __future__ import annotations

from hypothesis import settings

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None, database=None)
