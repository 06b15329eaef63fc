"""python -m fastapi_app"""

from fastapi_app.serve import serve

# Worker processes import this module too.
if __name__ == "__main__":
    serve()
