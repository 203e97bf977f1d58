"""The catalogue as a good data scientist writes it in pandas: one vectorised pass over the rows known per date."""
