"""The statement that every queue on PostgreSQL has and no ORM writes: takes up to `limit` waiting jobs."""


def take_jobs(schema, limit):
    table, c = schema["tables"]["job"]["name"], schema["tables"]["job"]["columns"]
    return (
        f"""UPDATE "{table}" SET "{c['state']}" = 'taken' WHERE "{c['id']}" IN (SELECT "{c['id']}" FROM "{table}" WHERE "{c['state']}" = 'new' """
        f"""ORDER BY "{c['id']}" LIMIT {int(limit)} FOR UPDATE SKIP LOCKED) RETURNING "{c['id']}" AS id, "{c['item_id']}" AS item_id"""
    )
