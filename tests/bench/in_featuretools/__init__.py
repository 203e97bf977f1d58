"""The numbers that the catalogue is made of, as Featuretools takes them: of which rows, from which columns."""
