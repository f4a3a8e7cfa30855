"""Repointing: what hangs on one data source is made to hang on another one, planned, in waves, and undoably.

`uses` finds what is to be renamed, `facts` is what was observed of both sources, `judging` holds one against the
other, `planning` makes a stored plan of it, `waves` cuts it, and `applying` does it, journalled in `registry.plans`.
"""
