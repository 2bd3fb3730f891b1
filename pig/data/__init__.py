"""From files to training pairs: manifest, preprocessing, store, folds."""
