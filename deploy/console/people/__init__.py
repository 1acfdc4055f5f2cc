"""Who may use the console, for what, and how they prove who they are."""
