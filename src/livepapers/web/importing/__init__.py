"""Papers from elsewhere: arXiv's API, saved pages and BibTeX become rows with status `listed`.

Only facts are taken (title, authors, date, identifiers, categories). Abstracts are their authors' text and are not
copied: the summary of an imported paper stays empty until somebody writes a card.
"""
