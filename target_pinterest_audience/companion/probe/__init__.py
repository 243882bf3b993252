"""The probe: asks Pinterest's API what its description leaves open, with invented identities on a list of its own."""
