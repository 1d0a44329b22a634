"""Shapes of what is said about subscriptions, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from services.api.routes import subscription_examples as examples


class DisableAfter(BaseModel):
    failures: int = Field(description="So many deliveries failed one after the other,")
    minutes: int = Field(description="over at least so long.")


class Subscription(BaseModel):
    id: str = Field(examples=[examples.SUBSCRIPTION_ID])
    name: str
    description: str
    events: list[str]
    workflow_id: str | None
    channel: dict[str, Any]
    include_output: bool
    disable_after: DisableAfter
    status: Literal["active", "paused", "disabled", "deleted"]
    reason: str | None = Field(description="Why it is paused or disabled.")
    failures: int = Field(description="Deliveries that failed since one succeeded.")
    failing_since: str | None
    disabled_at: str | None
    last_delivery_at: str | None
    last_delivery_status: Literal["delivered", "failed"] | None
    created_at: str
    updated_at: str


class CreatedSubscription(Subscription):
    secret: str | None = Field(description="Signs the webhooks. Shown here and never again.")


class SubscriptionPage(BaseModel):
    items: list[Subscription]
    next_cursor: str | None


class Secret(BaseModel):
    secret: str = Field(description="Signs from now on. Shown here and never again.")
    old_secret_until: str = Field(description="So long the secret before signs as well.")


class Delivery(BaseModel):
    id: str = Field(examples=[examples.DELIVERY_ID], description="What a receiver sees as webhook-id.")
    subscription_id: str
    type: str
    event: dict[str, Any] | None = Field(
        description="What is told: `id`, `at`, `workspace_id`, `cursor`, `data`; null where it is not kept any more."
    )
    test: bool
    status: Literal["waiting", "sending", "retrying", "delivered", "failed", "put_aside"] = Field(
        description="`retrying`: it was tried and is tried again at `next_try_at`."
    )
    attempts: int | None = Field(description="Of its last try; null where its execution is not there any more.")
    next_try_at: str | None
    response_status: int | None
    error: dict[str, str] | None
    execution_id: str | None
    duration_ms: int | None = Field(description="From its start to its end, with all attempts.")
    created_at: str
    queued_at: str = Field(description="When it was to be delivered last: at first, or again.")
    started_at: str | None
    ended_at: str | None


class DeliveryPage(BaseModel):
    items: list[Delivery]
    next_cursor: str | None


class Redelivered(BaseModel):
    redelivered: int = Field(description="How many are delivered again now, a few at a time.")
    more: bool = Field(description="Whether there are more: ask again once these have ended.")
