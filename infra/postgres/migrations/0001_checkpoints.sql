-- What an owner needs to go on after a takeover (log protocol, rule 11). One row a lane and partition; the states of
-- its open streams; the ids of closed streams that the read model may not have yet (rule 14).

CREATE TABLE partition_checkpoints (
    lane             text    NOT NULL,
    partition        integer NOT NULL,
    owner_offset     bigint  NOT NULL,              -- epoch of the newest owner: raised before it reads
    owner_nonce      text    NOT NULL,
    next_offset      bigint  NOT NULL DEFAULT 0,    -- the fence: next record of the commit topic to fold
    fence_offset     bigint,
    fence_nonce      text,
    next_n           bigint  NOT NULL DEFAULT 0,
    answered         bigint  NOT NULL DEFAULT 0,    -- inputs below this have their answer
    unsent           bytea   NOT NULL DEFAULT '',   -- commands for other streams that may not have been sent (rule 13)
    suspect_offset   bigint  NOT NULL DEFAULT -1,   -- first unanswered input at the last takeover (rule 8)
    suspect_count    integer NOT NULL DEFAULT 0,
    saved_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane, partition)
);

CREATE TABLE stream_states (
    lane       text    NOT NULL,
    partition  integer NOT NULL,
    stream     text    NOT NULL,
    workspace  text    NOT NULL,
    version    integer NOT NULL,
    due        bigint,                              -- owner's time (ms) at which the stream wants to be woken
    parked     boolean NOT NULL,                    -- nothing under way: need not be woken by a takeover
    state      bytea   NOT NULL,
    PRIMARY KEY (lane, partition, stream)
) WITH (fillfactor = 80);

ALTER TABLE stream_states ALTER COLUMN state SET STORAGE EXTERNAL;

CREATE TABLE remembered_ids (
    lane        text    NOT NULL,
    partition   integer NOT NULL,
    generation  bigint  NOT NULL,
    ids         bytea   NOT NULL,
    until_offset bigint NOT NULL,                   -- the read model has them all once it has passed this offset
    PRIMARY KEY (lane, partition, generation)
);
