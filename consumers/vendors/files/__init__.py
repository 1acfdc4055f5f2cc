"""Updates as files of trade standards: UBL 2.1, EDIFACT and X12, with control numbers without gaps."""
