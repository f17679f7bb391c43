"""What do other frameworks' conventions dictate? A thin module for each of them."""
