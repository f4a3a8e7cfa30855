"""One story on the lab from the first registration to the last restore: played, asserted, and written down.

`acts` is what happens, `house` where it happens, `playing` how a command is typed and what it must say, `page` what
becomes of it: docs/guided-tour.md.
"""
