"""What happens while a migration is written."""
