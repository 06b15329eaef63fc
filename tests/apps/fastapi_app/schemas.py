"""What requests bring and responses show."""

import datetime
import uuid
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from fastapi_app.models import Channel, OrderStatus, ProductStatus

Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]


class ProductIn(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=40)]
    name: str
    price: Price
    status: ProductStatus = ProductStatus.DRAFT
    stock: Annotated[int, Field(ge=0)] = 0
    tags: list[str] = []
    channels: list[Channel] = []
    attributes: dict[str, Any] = {}


class ProductChange(BaseModel):
    """Only what is given changes."""

    name: str | None = None
    price: Price | None = None
    status: ProductStatus | None = None
    stock: Annotated[int, Field(ge=0)] | None = None
    tags: list[str] | None = None
    channels: list[Channel] | None = None
    attributes: dict[str, Any] | None = None


class ProductOut(ProductIn):
    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime.datetime
    updated_at: datetime.datetime


class ImportOut(BaseModel):
    added: list[str]
    rejected: list[str]


class LineIn(BaseModel):
    product_id: int
    quantity: Annotated[int, Field(gt=0)]


class LineOut(LineIn):
    model_config = ConfigDict(from_attributes=True)

    price: Decimal


class OrderIn(BaseModel):
    customer: str
    lines: Annotated[list[LineIn], Field(min_length=1)]


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    customer: str
    status: OrderStatus
    total: Decimal
    lines: list[LineOut]
    created_at: datetime.datetime


class HealthOut(BaseModel):
    database: bool
