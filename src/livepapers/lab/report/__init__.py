"""What a run says: one dictionary of evidence, and its faces.

Everything shown anywhere comes from `evidence.evidence`, so page, terminal and file cannot disagree:
`page.render_html` makes the HTML page, `terminal.render_terminal` the tables, `publishing.publish` the committed file;
`summary` holds what they all say first.
"""
