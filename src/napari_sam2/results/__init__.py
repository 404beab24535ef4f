"""What was found: labels, how sure they are, tracks; and the forms that others read."""
