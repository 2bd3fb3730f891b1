from hypothesis import settings

# The first example of a property pays for imports; how long a test takes says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
