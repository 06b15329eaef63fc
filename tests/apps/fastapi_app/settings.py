"""Settings of the application, from the environment."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVER = "postgresql+asyncpg"


class Settings(BaseSettings):
    """DATABASE_URL=postgresql+asyncpg://user:password@localhost:5432/name, and how to pool."""

    # A rejected value may hold a password: it must not be repeated in the error.
    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    database_url: SecretStr
    database_pool_size: Annotated[int, Field(ge=1)] = 20
    database_max_overflow: Annotated[int, Field(ge=0)] = 10
    # Lengths of time are seconds.
    database_pool_timeout: Annotated[float, Field(gt=0)] = 30
    database_pool_recycle: Annotated[int, Field(gt=0)] = 3600
    database_command_timeout: Annotated[float, Field(gt=0)] = 60
    # How long the first connection may take before the start has failed.
    database_startup_timeout: Annotated[float, Field(gt=0)] = 10
    # Under test, and where a pooler stands between: no pool, a connection for each request.
    database_null_pool: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    workers: Annotated[int, Field(ge=1)] = 2
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("database_url")
    @classmethod
    def _names_the_driver(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError("not a URL") from None
        if url.drivername != DRIVER:
            raise ValueError(f"the driver must be {DRIVER}")
        return value

    @property
    def url(self) -> URL:
        """Shows no password when it is printed."""
        return make_url(self.database_url.get_secret_value())


@lru_cache
def get_settings() -> Settings:
    return Settings()
