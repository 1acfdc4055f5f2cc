"""What vendors are told of their own lines: as a topic, as signed webhooks, and as files of trade standards."""
