"""The command line of the backup: policy, keys, state, restore."""
