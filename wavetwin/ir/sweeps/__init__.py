"""Define what a sweep may say: ranges of fields, ways to search them, what is compared, who stops early."""
