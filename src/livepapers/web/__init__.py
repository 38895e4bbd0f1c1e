"""The page: papers as cards with votes, and behind each card its claims, verdicts, runs and application.

`app.create_app(settings)` makes the application; `livepapers serve` runs it. Nothing here imports torch: what a page
shows is in the catalogue, in the published results and in the run store, and runs are made by processes of their own.
"""
