"""What surrounds a resource group: where it is seen to come from, what its network lacks, what others must let in."""
