"""The laboratory and the story that `./quickstart` plays."""
