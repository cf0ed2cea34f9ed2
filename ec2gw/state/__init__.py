"""What is written down: records, sessions, migrations. The only floor that knows SQL."""
