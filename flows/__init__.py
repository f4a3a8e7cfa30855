"""What an operator runs: one module an operation, and the command line."""
