"""Tables of the shop."""

import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    Numeric,
    Text,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    Session,
    mapped_column,
    relationship,
    with_loader_criteria,
)

# Alembic can only drop what has a name.
NAMING_CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {
        str: Text,
        datetime.datetime: DateTime(timezone=True),
        Decimal: Numeric(12, 2),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
    }
    # What the server computes comes back with RETURNING, not with a query of its own.
    __mapper_args__ = {"eager_defaults": True}


class Timestamps:
    """When a row was made and last changed, by the server's clock."""

    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(
        server_default=func.now(), onupdate=func.now()
    )


class SoftDelete:
    """Deleted rows stay, and no query of the ORM sees them but with include_deleted."""

    deleted_at: Mapped[datetime.datetime | None] = mapped_column()

    def delete(self) -> None:
        self.deleted_at = func.now()


@event.listens_for(Session, "do_orm_execute")
def _hide_deleted(state: ORMExecuteState) -> None:
    if (
        state.is_select
        and not state.is_column_load
        and not state.is_relationship_load
        and not state.execution_options.get("include_deleted", False)
    ):
        state.statement = state.statement.options(
            with_loader_criteria(
                SoftDelete, lambda cls: cls.deleted_at.is_(None), include_aliases=True
            )
        )


def _enum(cls: type[enum.Enum], name: str) -> Enum:
    """A type of the server's, with the values rather than Python's names."""
    return Enum(cls, name=name, values_callable=lambda members: [one.value for one in members])


class ProductStatus(enum.StrEnum):
    DRAFT = "draft"
    ON_SALE = "on sale"
    RETIRED = "retired"


class Channel(enum.StrEnum):
    WEB = "web"
    SHOP = "shop"
    PHONE = "phone"


class OrderStatus(enum.StrEnum):
    PLACED = "placed"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Product(Timestamps, SoftDelete, Base):
    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        # A sku may be used again once its product is deleted.
        Index("ix_products_sku", "sku", unique=True, postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    name: Mapped[str]
    status: Mapped[ProductStatus] = mapped_column(
        _enum(ProductStatus, "product_status"), server_default=ProductStatus.DRAFT.value
    )
    price: Mapped[Decimal]
    stock: Mapped[int] = mapped_column(server_default=text("0"))
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    channels: Mapped[list[Channel]] = mapped_column(
        ARRAY(_enum(Channel, "channel")), server_default=text("'{}'")
    )
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class Order(Timestamps, Base):
    __tablename__ = "orders"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    customer: Mapped[str]
    status: Mapped[OrderStatus] = mapped_column(
        _enum(OrderStatus, "order_status"), server_default=OrderStatus.PLACED.value
    )
    total: Mapped[Decimal]
    lines: Mapped[list["OrderLine"]] = relationship(
        back_populates="order", cascade="all, delete-orphan", lazy="selectin"
    )


class OrderLine(Base):
    __tablename__ = "order_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity_positive"),)

    order_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
    )
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True, index=True)
    quantity: Mapped[int]
    price: Mapped[Decimal]
    order: Mapped[Order] = relationship(back_populates="lines")
