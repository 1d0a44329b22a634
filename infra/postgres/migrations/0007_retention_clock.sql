-- What the clocks said when retention last believed them ('believed'), when they first disagreed ('suspected'), and that
-- an operator wants them to be believed ('trusted', by whom).

CREATE TABLE retention_clock (
    kind      text        NOT NULL PRIMARY KEY,
    log_time  timestamptz,                        -- of the newest tick
    database  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ticks     bigint      NOT NULL DEFAULT 0,     -- written so far, about one a second
    actor     text
);
