"""How do schedules that stand in a file, or in code, become those in a store, and how do these become a file?

`lines` parses TOML and YAML and knows the line of each key, `reading` makes the schedules that are wanted out of that,
with all faults at once; `comparing` holds them against what is stored, and says step by step what is to be done;
`writing` makes a file of stored schedules.
"""
