"""The probe: asks Pinterest's API what its description does not tell, with invented identities on a list of its own."""
