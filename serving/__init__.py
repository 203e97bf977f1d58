"""HTTP service, pages and batch scoring: what people and programs ask, answered from the core."""
