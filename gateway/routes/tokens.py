"""The route that makes tokens for an API key: upload tokens, and view tokens of the key's own jobs."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from fastapi import Response, status
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.claims import LIMITS, JobId, Rendition, TokenId, TokenLimits
from gateway.dependencies import JobsDep, PermissionDep, SettingsDep
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers
from gateway.permission import Permission
from gateway.problems import NoSigningSecret, RenditionNotFound
from gateway.routing import Router
from gateway.tokens import MAX_SECONDS, VIEW_SECONDS, sign_token, view_claims
from pipeline.results import served_job
from pipeline.stage_order import stage_by_rendition
from storage.clock import now_ms
from storage.jobs import Jobs

router = Router(tags=["tokens"])


class TokenRequest(TokenLimits):
    """What a token is for. The limits are for upload tokens only."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"scope": "upload", "seconds": 300}]})

    scope: Literal["upload", "read"]
    task_id: JobId | None = Field(None, description="The job that a view token reads.")
    rendition: Rendition | None = Field(None, description="The only rendition that a view token reads.")
    token_id: TokenId | None = Field(
        None,
        description="The id of an earlier upload token that this one continues: it reads the same jobs, sends the rest "
        "of the same resumable uploads, and shares its uses. A new one by default.",
    )
    seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS, allow_inf_nan=False)] = Field(
        VIEW_SECONDS, description="How long the token is valid. The end of a view token is up to 15 minutes later."
    )

    @model_validator(mode="after")
    def _check_scope(self) -> Self:
        if self.scope == "read" and self.task_id is None:
            raise ValueError("a view token needs the task_id of its job")
        others = ("token_id", *LIMITS) if self.scope == "read" else ("task_id", "rendition")
        if given := [name for name in others if getattr(self, name)]:
            raise ValueError(f"{given[0]} is not for a token with the scope {self.scope}")
        return self


class Token(BaseModel):
    """A new token. It is not stored: whoever has it may use it until it expires."""

    token: str = Field(repr=False)
    expires_at: datetime
    token_id: str | None = Field(
        description="The id of an upload token, which the jobs that it makes keep. null for a view token."
    )


@router.post(
    "/tokens",
    summary="Make a token",
    status_code=status.HTTP_201_CREATED,
    responses={201: {"headers": answer_headers("Cache-Control")}, **errors(404, 409)},
)
async def create_token(
    wanted: TokenRequest, response: Response, settings: SettingsDep, jobs: JobsDep, permission: PermissionDep
) -> Token:
    """Make an upload token for a browser or an app, or a view token that stands in the address of an image."""
    if permission.owner is None:
        raise NoSigningSecret("No API keys are set, so every route is open: nobody needs a token here.")
    if permission.owner not in settings.signing_secrets:
        raise NoSigningSecret(
            f"The owner {permission.owner} has no signing secret in DARKROOM_SIGNING_SECRETS. "
            f"`./run key {permission.owner} --signing` creates one."
        )
    permission.check_presets(wanted.presets)
    claims = await _build_claims(wanted, permission.owner, jobs, permission)
    token = sign_token(claims, settings.signing_secrets)
    response.headers["Cache-Control"] = "no-store"
    return Token(token=token, expires_at=datetime.fromtimestamp(claims["exp"], UTC), token_id=claims.get("jti"))


async def _build_claims(wanted: TokenRequest, owner: str, jobs: Jobs, permission: Permission) -> dict[str, Any]:
    if wanted.task_id is None:
        end = math.ceil(now_ms() / 1000 + wanted.seconds)
        limits = wanted.model_dump(include=set(LIMITS), exclude_defaults=True)
        return {"sub": owner, "exp": end, "jti": wanted.token_id or uuid4().hex, "scope": wanted.scope, **limits}
    job = served_job(await permission.get_job(jobs, wanted.task_id))
    if wanted.rendition is not None and wanted.rendition not in stage_by_rendition(job):
        names = ", ".join(stage_by_rendition(job))
        raise RenditionNotFound(f"The job has no rendition {wanted.rendition!r}. Ask for one of: {names}.")
    seconds, now = wanted.seconds, now_ms()
    return view_claims(owner=owner, task_id=job.id, rendition=wanted.rendition, seconds=seconds, now_ms=now)
