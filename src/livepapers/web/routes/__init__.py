"""The pages by address; each module holds a `router` that `app.create_app` includes."""
