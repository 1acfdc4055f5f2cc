"""The copies of the backup: where they lie, who can read them, and who may say what belongs to them."""
