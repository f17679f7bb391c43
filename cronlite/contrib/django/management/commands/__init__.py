"""Which commands does manage.py get?"""
