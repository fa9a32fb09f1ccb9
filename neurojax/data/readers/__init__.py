"""One module per kind of recording, each a pure function from files to a Session."""
