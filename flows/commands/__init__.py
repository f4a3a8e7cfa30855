"""The commands of the command line, by topic. Each imports what it works with when it is called: starting is fast."""
