"""Orders that arrive as documents: EDI, UBL, PDF, scans, tables, e-mails."""
