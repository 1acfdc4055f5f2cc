"""Topics to outside: applies the truth to the ERP, the ledger warehouse and the backups, and proves it."""
