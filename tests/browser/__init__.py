"""Pages as a reader's browser shows them. A package, so that its browser is closed before other tests are run."""
