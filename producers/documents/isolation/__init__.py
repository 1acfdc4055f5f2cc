"""Where documents from outside are looked into: processes without rights, whose memory and time have an end."""
