"""The commands of the command line, by topic; `flows.menu` names them. Each imports what it works with when called."""
