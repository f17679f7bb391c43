"""Where do claimed runs execute?"""
