"""Where does Django look for commands?"""
