"""The claims of a token: what its JSON may say, and the permission that this makes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gateway.permission import Permission, Scope
from gateway.problems import InvalidToken
from pipeline.origins import SentOrigin
from pipeline.presets.definition import PresetName
from pipeline.settings import OwnerName
from stages.formats import MEDIA_TYPES

MAX_METADATA = 16
MAX_PRESETS = 64
MAX_USES = 1000
"""The document that counts uses has an entry for each job, so it is bounded."""
MAX_NUMBER = 2**53  # the largest whole number that all JSON parsers read exactly
JOB_ID, RENDITION = "[A-Za-z0-9-]{1,64}", "[a-z][a-z0-9_]{0,31}"
READ = re.compile(f"read:({JOB_ID})(?:/({RENDITION}))?")
LIMITS = ("max_bytes", "formats", "presets", "uses", "origin", "metadata")
"""Claims of upload tokens only."""

JobId = Annotated[str, Field(pattern=f"^{JOB_ID}$")]
Rendition = Annotated[str, Field(pattern=f"^{RENDITION}$")]
Time = Annotated[float, Field(ge=0, le=MAX_NUMBER, allow_inf_nan=False)]
TokenId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
MaxBytes = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Uses = Annotated[int, Field(ge=1, le=MAX_USES)]
Formats = Annotated[list[str], Field(min_length=1, max_length=len(MEDIA_TYPES))]
Presets = Annotated[list[PresetName], Field(min_length=1, max_length=MAX_PRESETS)]
MetadataName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
Metadata = Annotated[dict[MetadataName, Annotated[str, Field(max_length=256)]], Field(max_length=MAX_METADATA)]


class TokenLimits(BaseModel):
    """What an upload token may do. A name that is not here is refused: with a typing mistake, a limit has no effect."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    max_bytes: MaxBytes | None = Field(None, description="The largest file that the token may upload, in bytes.")
    formats: Formats | None = Field(None, description="Formats that the token may upload.", examples=[["jpeg", "png"]])
    presets: Presets | None = Field(
        None,
        description="The presets that the token may upload with; then it may use no operations.",
        examples=[["product"]],
    )
    uses: Uses | None = Field(None, description="How many jobs the token may make.")
    origin: SentOrigin | None = Field(None, description="The only origin whose pages may upload with the token.")
    metadata: Metadata = Field({}, description="Copied into the jobs that the token makes.")

    @field_validator("formats")
    @classmethod
    def _check_formats(cls, formats: list[str] | None) -> list[str] | None:
        if unknown := set(formats or ()) - set(MEDIA_TYPES):
            raise ValueError(f"there is no format {min(unknown)[:32]!r}; use some of {', '.join(MEDIA_TYPES)}")
        return formats


class Claims(TokenLimits):
    """The claims of a token (RFC 7519, section 4). `iss` and `iat` have no effect here, but some libraries add them.

    `preset` is the same as one name in `presets`.
    """

    sub: OwnerName
    exp: Time
    scope: str
    jti: TokenId | None = None
    nbf: Time = 0
    iat: Time = 0
    iss: str = ""
    preset: PresetName | None = None

    @model_validator(mode="after")
    def _check_presets(self) -> Self:
        if self.preset is not None and self.presets is not None:
            raise ValueError("give either preset or presets, not both")
        return self

    def permission(self) -> Permission:
        """Return what the token allows. Raises `InvalidToken` if its claims do not fit each other."""
        expires_ms, presets = int(self.exp * 1000), self.presets if self.preset is None else [self.preset]
        if match := READ.fullmatch(self.scope):
            if given := [name for name in (*LIMITS, "preset") if getattr(self, name)]:
                raise InvalidToken(f"The claim {given[0]} has no meaning in a view token. Leave it out.")
            task_id, rendition = match.groups()
            return Permission(
                owner=self.sub, scope=Scope.READ, expires_ms=expires_ms, task_id=task_id, rendition=rendition
            )
        if self.scope != Scope.UPLOAD:
            raise InvalidToken("The claim scope is neither upload, nor read:TASK_ID, nor read:TASK_ID/RENDITION.")
        if self.jti is None:
            raise InvalidToken("The claim jti is missing. Give each upload token an id of its own, such as a UUID.")
        return Permission(
            owner=self.sub,
            scope=Scope.UPLOAD,
            token_id=self.jti,
            expires_ms=expires_ms,
            max_bytes=self.max_bytes,
            formats=None if self.formats is None else frozenset(self.formats),
            presets=None if presets is None else frozenset(presets),
            uses=self.uses,
            origin=self.origin,
            metadata=self.metadata,
        )


def read_claims(payload: dict[str, Any]) -> Claims:
    """Return the claims of a payload whose signature is right. Raises `InvalidToken` that names a wrong claim."""
    try:
        return Claims.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "".join(f"{part}." for part in first["loc"])[:64].removesuffix(".")
        message = first["msg"].removeprefix("Value error, ").replace("Extra inputs are not permitted", "is unknown")
        what = ": ".join(filter(None, (name, message)))
        raise InvalidToken(f"A claim of the token is not valid: {what}") from None
