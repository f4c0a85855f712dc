"""What plug-in authors and tests share: contracts, and parts that need neither data nor time."""
