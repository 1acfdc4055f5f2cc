"""Who may do what: certificates, credentials, grants, and the proof that they hold."""
