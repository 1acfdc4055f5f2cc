"""What people do with the keys by which persons are sealed: destroy them, allow new ones, wrap them anew, look."""
