"""What the ISR tests share."""

from __future__ import annotations

from hypothesis import settings

# A kernel compiles on its first call, which no deadline should count.
settings.register_profile("kernels", deadline=None, max_examples=60)
settings.load_profile("kernels")
