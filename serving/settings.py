"""The service's settings: from the environment (``KEEPSIGHT_…``), or from the command line, which wins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import KeepsightError

MEBIBYTE = 1024 * 1024


class Settings(BaseSettings):
    """What the service needs to be told. Nothing is opened or made by making one.

    Examples
    --------
    >>> Settings(port=8080).body_limit_bytes
    1048576
    """

    model_config = SettingsConfigDict(env_prefix="KEEPSIGHT_", frozen=True, extra="ignore")

    home: Path = Field(Path(".keepsight"), description="Where state lies: the champion model's last good copy.")
    sources: Path | None = Field(None, description="The company's sources.toml; none: readings must be posted.")
    bundle: Path | None = Field(None, description="A model's folder to answer with, instead of the champion.")
    registry_uri: str | None = Field(None, description="MLflow registry to fetch a new champion from.")
    registry_model: str = Field("keepsight", description="The model's name in that registry.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on.")
    threads: Annotated[int, Field(ge=1, le=200)] = Field(8, description="Requests answered at the same time.")
    body_limit_bytes: Annotated[int, Field(ge=1024)] = Field(MEBIBYTE, description="Largest request body.")
    batch_limit: Annotated[int, Field(ge=1)] = Field(500, description="Most items of one /predict/batch.")
    refresh_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Read the sources again and score the whole book every so many minutes; none: once."
    )
    champion_poll_seconds: Annotated[float, Field(gt=0)] = Field(
        5.0, description="How often to look whether there is a new champion model."
    )

    @property
    def champion_folder(self) -> Path:
        """Where `promote` leaves the champion's last good copy."""
        return self.home / "champion"


def read_settings(**given: object) -> Settings:
    """Return the settings: what is given, else the environment's, else the defaults.

    Parameters
    ----------
    given
        Settings by name; None leaves one to the environment.

    Raises
    ------
    KeepsightError
        A value is not as it may be; each is named with its environment variable.

    Examples
    --------
    >>> read_settings(port=70000)
    Traceback (most recent call last):
    ...
    features.errors.KeepsightError: Setting port (KEEPSIGHT_PORT): input should be less than or equal to 65535.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"Setting {name} (KEEPSIGHT_{name.upper()}): {item['msg'][:1].lower()}{item['msg'][1:]}."
            for item in error.errors()
            for name in [".".join(str(step) for step in item["loc"])]
        ]
        raise KeepsightError("\n".join(lines)) from None
