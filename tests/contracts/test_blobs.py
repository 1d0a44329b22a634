"""What every blob store promises."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.blobs import BlobsMissing, BlobStore, MemoryBlobs, PostgresBlobs
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from schemas.payloads import blob_id

ONE, TWO = b'[{"json": {"a": 1}}]' * 5000, bytes(range(256))


def keyed(*contents: bytes, workspace: str = "w1") -> dict[str, bytes]:
    return {blob_id(workspace, content): content for content in contents}


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    await migrate(postgres_url)
    pool = await open_pool(postgres_url, max_size=4)
    yield pool
    await pool.close()


@pytest.fixture(params=["memory", "postgres", "postgres without cache"])
def store(request: pytest.FixtureRequest) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobs()
    pool = request.getfixturevalue("pool")
    return PostgresBlobs(pool) if request.param == "postgres" else PostgresBlobs(pool, cache_bytes=0)


async def test_what_was_put_comes_back(store: BlobStore) -> None:
    blobs = keyed(ONE, TWO)
    await store.put_many("w1", blobs)
    assert await store.get_many("w1", list(blobs)) == blobs
    assert await store.get_many("w1", []) == {}


async def test_putting_again_does_nothing(store: BlobStore) -> None:
    await store.put_many("w1", keyed(ONE))
    await store.put_many("w1", keyed(ONE, TWO))
    await store.put_many("w1", {})
    assert await store.get_many("w1", list(keyed(ONE, TWO))) == keyed(ONE, TWO)


async def test_many_put_the_same_at_once(store: BlobStore) -> None:
    contents = [b"%d" % number for number in range(20)]
    await asyncio.gather(
        *(store.put_many("w1", keyed(*contents[start:], *contents[:start])) for start in range(len(contents)))
    )
    assert await store.get_many("w1", list(keyed(*contents))) == keyed(*contents)


@pytest.mark.parametrize("seen_by", ["put", "get"])
async def test_storing_an_old_blob_again_makes_it_young(pool: Pool, seen_by: str) -> None:
    """Also by a process that has it in memory: it must not trust what somebody may be about to delete."""
    store = PostgresBlobs(pool)
    blobs = keyed(ONE)
    await store.put_many("w1", blobs)
    age = "SELECT extract(epoch FROM now() - stored_at)::int FROM blobs"
    await pool.execute("UPDATE blobs SET stored_at = now() - interval '40 days'")
    store = PostgresBlobs(pool)
    if seen_by == "get":
        assert await store.get_many("w1", list(blobs)) == blobs
    await store.put_many("w1", blobs)
    assert await pool.fetchval(age) < 10
    await pool.execute("UPDATE blobs SET stored_at = now() - interval '10 minutes'")
    await PostgresBlobs(pool).put_many("w1", blobs)
    assert await pool.fetchval(age) >= 600  # young enough: no write


async def test_another_workspace_gets_nothing(store: BlobStore) -> None:
    blobs = keyed(ONE)
    await store.put_many("w1", blobs)
    await store.get_many("w1", list(blobs))
    with pytest.raises(BlobsMissing) as missing:
        await store.get_many("w2", list(blobs))
    assert missing.value.ids == set(blobs)


async def test_what_is_not_there_is_named(store: BlobStore) -> None:
    await store.put_many("w1", keyed(ONE))
    with pytest.raises(BlobsMissing) as missing:
        await store.get_many("w1", [*keyed(ONE), "unheard of"])
    assert (missing.value.code, missing.value.ids) == ("missing_blob", {"unheard of"})
    assert await store.find_many("w1", [*keyed(ONE), "unheard of"]) == keyed(ONE)


async def test_the_bytes_in_memory_are_bounded_and_the_oldest_leave(pool: Pool) -> None:
    store = PostgresBlobs(pool, cache_bytes=250)
    first, second, third = (content * 100 for content in (b"1", b"2", b"3"))
    await store.put_many("w1", keyed(first, second))
    await store.get_many("w1", list(keyed(first)))
    await store.put_many("w1", keyed(third, b"x" * 1000))
    await pool.execute("DELETE FROM blobs")
    assert await store.get_many("w1", list(keyed(first, third))) == keyed(first, third)
    for gone in (second, b"x" * 1000):
        with pytest.raises(BlobsMissing):
            await store.get_many("w1", list(keyed(gone)))


async def test_another_process_finds_what_was_stored(pool: Pool) -> None:
    await PostgresBlobs(pool).put_many("w1", keyed(ONE))
    assert await PostgresBlobs(pool).get_many("w1", list(keyed(ONE))) == keyed(ONE)
