"""The whole stack for a container engine on one machine, and what prepares its servers."""
