"""From the copies back: the records of a point in time, restored topics, differences between two points."""
