"""Orders: each is placed in one transaction, with its lines and the stock that they take."""

import uuid

from fastapi import APIRouter, HTTPException, status
from sqlalchemy import select

from fastapi_app.dependencies import SessionDep, TransactionDep
from fastapi_app.models import Order, OrderLine, Product
from fastapi_app.schemas import OrderIn, OrderOut

router = APIRouter(prefix="/orders", tags=["orders"])


@router.post("", status_code=status.HTTP_201_CREATED)
async def place(body: OrderIn, session: TransactionDep) -> OrderOut:
    """The order is written before the stock is looked at: whatever is raised undoes it all."""
    order = Order(customer=body.customer, total=0, lines=[])
    session.add(order)
    await session.flush()
    # Always locked in the same order, so that two requests cannot wait for each other.
    for line in sorted(body.lines, key=lambda line: line.product_id):
        query = select(Product).where(Product.id == line.product_id).with_for_update()
        product = await session.scalar(query)
        if product is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"no product {line.product_id}")
        if product.stock < line.quantity:
            raise HTTPException(status.HTTP_409_CONFLICT, f"{product.stock} of {product.sku} left")
        product.stock -= line.quantity
        order.lines.append(
            OrderLine(product_id=product.id, quantity=line.quantity, price=product.price)
        )
        order.total += product.price * line.quantity
        await session.flush()
    return OrderOut.model_validate(order)


@router.get("/{order_id}")
async def read(order_id: uuid.UUID, session: SessionDep) -> OrderOut:
    order = await session.get(Order, order_id)
    if order is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such order")
    return OrderOut.model_validate(order)
