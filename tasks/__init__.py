"""What touches the outside world: vantages, probes and protocols, diagnosis, publishing.

Probing gathers evidence and decides nothing; `tasks.diagnosis` turns evidence into a verdict and touches nothing.
"""
