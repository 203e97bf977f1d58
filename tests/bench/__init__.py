"""Keepsight beside what people would do without it: ratios measured in one run, and values compared one by one."""
