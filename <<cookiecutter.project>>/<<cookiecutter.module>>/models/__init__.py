"""The models, one file each. Every module in this folder is imported by itself."""
