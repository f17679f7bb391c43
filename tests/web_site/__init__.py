"""The site: its pages, its gates, its adapters."""
