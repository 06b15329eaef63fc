"""A small shop: products with stock, and orders for them. FastAPI, SQLAlchemy 2.0, asyncpg."""
