"""What is on each page? A module for each screen: what it asks the store, and what of that its template is given."""
