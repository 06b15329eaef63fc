"""Products: made, changed, deleted softly, imported and exported."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, HTTPException, status
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_app.dependencies import SessionDep, StreamDep, TransactionDep
from fastapi_app.models import Channel, Product, ProductStatus
from fastapi_app.schemas import ImportOut, ProductChange, ProductIn, ProductOut

router = APIRouter(prefix="/products", tags=["products"])


async def _find(session: AsyncSession, product_id: int, *, deleted: bool = False) -> Product:
    query = select(Product).where(Product.id == product_id)
    product = await session.scalar(query, execution_options={"include_deleted": deleted})
    if product is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such product")
    return product


@router.post("", status_code=status.HTTP_201_CREATED)
async def create(body: ProductIn, session: SessionDep) -> ProductOut:
    product = Product(**body.model_dump())
    session.add(product)
    try:
        await session.flush()
    except IntegrityError:
        raise HTTPException(status.HTTP_409_CONFLICT, f"{body.sku} is there already") from None
    return ProductOut.model_validate(product)


@router.get("")
async def search(
    session: SessionDep,
    tag: str | None = None,
    channel: Channel | None = None,
    product_status: ProductStatus | None = None,
    limit: int = 50,
) -> list[ProductOut]:
    query = select(Product).order_by(Product.id).limit(limit)
    if tag is not None:
        query = query.where(Product.tags.any(tag))
    if channel is not None:
        query = query.where(Product.channels.contains([channel]))
    if product_status is not None:
        query = query.where(Product.status == product_status)
    return [ProductOut.model_validate(one) for one in await session.scalars(query)]


@router.post("/import")
async def import_many(bodies: list[ProductIn], session: TransactionDep) -> ImportOut:
    """One transaction; each product has a savepoint, so that a bad one spoils no other."""
    result = ImportOut(added=[], rejected=[])
    for body in bodies:
        try:
            async with session.begin_nested():
                session.add(Product(**body.model_dump()))
        except IntegrityError:
            result.rejected.append(body.sku)
        else:
            result.added.append(body.sku)
    return result


@router.get("/export")
async def export(session: StreamDep) -> StreamingResponse:
    """A line of JSON for each product, by a cursor: the server keeps what is not yet sent."""
    query = select(Product).order_by(Product.id).execution_options(yield_per=100)
    products = await session.stream_scalars(query)

    async def lines() -> AsyncIterator[str]:
        async for product in products:
            yield ProductOut.model_validate(product).model_dump_json() + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.get("/{product_id}")
async def read(product_id: int, session: SessionDep, deleted: bool = False) -> ProductOut:
    return ProductOut.model_validate(await _find(session, product_id, deleted=deleted))


@router.patch("/{product_id}")
async def change(product_id: int, body: ProductChange, session: SessionDep) -> ProductOut:
    product = await _find(session, product_id)
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(product, name, value)
    await session.flush()
    return ProductOut.model_validate(product)


@router.delete("/{product_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete(product_id: int, session: SessionDep) -> None:
    (await _find(session, product_id)).delete()
