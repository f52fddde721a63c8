"""A Django project of the peers, set up as favourably as they can be."""
