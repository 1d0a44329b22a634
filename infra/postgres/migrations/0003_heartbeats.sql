-- What each process says of itself, about once a second; who has been silent is gone. Nothing is decided by it: the api
-- refuses and warns by it.

CREATE UNLOGGED TABLE heartbeats (
    member  text        NOT NULL PRIMARY KEY,
    role    text        NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    facts   jsonb       NOT NULL DEFAULT '{}'
);
