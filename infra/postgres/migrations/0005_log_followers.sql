-- Where followers of the commit topics stand that keep no read model: who tells subscriptions of events. A follower moves
-- its row by compare-and-set; what it sends before that is known to its receivers.

CREATE TABLE log_followers (
    name         text    NOT NULL,
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint  NOT NULL,
    epoch_offset bigint,
    epoch_nonce  text,
    next_n       bigint  NOT NULL,
    anchor       bigint  NOT NULL,
    PRIMARY KEY (name, topic, partition)
) WITH (fillfactor = 50);
