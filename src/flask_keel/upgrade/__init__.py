"""What happens while migrations are applied."""
