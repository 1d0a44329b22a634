-- The log in PostgreSQL, version 1. Names are resolved by the search_path of the log's connections: its own schema.
-- Every statement may run again on a database that has it already.

CREATE TABLE IF NOT EXISTS identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL,
    partitions integer NOT NULL
);

-- A row is locked from the moment its next offset is taken until commit: offsets are gapless and become
-- visible in order (rule 1). Rows stay small and updates stay on their page.
CREATE TABLE IF NOT EXISTS partitions (
    topic integer NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- One table a topic, read and written through their parent. Compression of values would cost the appends more
-- than it saves; values up to a page stay in the row.
CREATE TABLE IF NOT EXISTS records (
    topic integer NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    appended_at bigint NOT NULL,
    key bytea STORAGE EXTERNAL,
    headers bytea STORAGE EXTERNAL NOT NULL,
    value bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
) PARTITION BY LIST (topic);

CREATE TABLE IF NOT EXISTS commands PARTITION OF records FOR VALUES IN (0) WITH (toast_tuple_target = 8160);
CREATE TABLE IF NOT EXISTS events PARTITION OF records FOR VALUES IN (1) WITH (toast_tuple_target = 8160);
CREATE TABLE IF NOT EXISTS execution_commands PARTITION OF records FOR VALUES IN (2) WITH (toast_tuple_target = 8160);
CREATE TABLE IF NOT EXISTS executions PARTITION OF records FOR VALUES IN (3) WITH (toast_tuple_target = 8160);
CREATE TABLE IF NOT EXISTS ticks PARTITION OF records FOR VALUES IN (4);
CREATE TABLE IF NOT EXISTS dead_letters PARTITION OF records FOR VALUES IN (5) WITH (toast_tuple_target = 8160);

CREATE TABLE IF NOT EXISTS group_offsets (
    "group" text NOT NULL,
    topic integer NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY ("group", topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS groups (
    "group" text PRIMARY KEY
);

-- A member lives until `expires` by this server's clock. `token` tells two processes of one name apart.
CREATE TABLE IF NOT EXISTS members (
    "group" text NOT NULL REFERENCES groups,
    member text NOT NULL,
    token uuid NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY ("group", member)
) WITH (fillfactor = 50);

-- Who holds a partition now; it stays with the holder until that gives it up, leaves or expires.
CREATE TABLE IF NOT EXISTS holders (
    "group" text NOT NULL REFERENCES groups,
    partition integer NOT NULL,
    member text NOT NULL,
    PRIMARY KEY ("group", partition)
);

-- Append everything that waits in a writer, over topics and partitions, in one transaction and one round trip.
-- A run is what goes to one partition; runs come sorted, so that writers never deadlock. Readers are woken after the
-- commit: a NOTIFY within it would serialise the commits of all writers, and their fsyncs, behind one lock.
CREATE OR REPLACE PROCEDURE append(
    run_topic integer[], run_partition integer[], run_count integer[],
    rec_run integer[], rec_rank integer[], rec_key bytea[], rec_headers bytea[], rec_value bytea[],
    channel text, wake text, INOUT bases bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    base bigint;
    now_ms bigint;
BEGIN
    FOR i IN 1 .. cardinality(run_topic) LOOP
        UPDATE partitions p SET next_offset = p.next_offset + run_count[i]
        WHERE p.topic = run_topic[i] AND p.partition = run_partition[i]
        RETURNING p.next_offset - run_count[i] INTO base;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the log has no partition % of topic %', run_partition[i], run_topic[i]
                USING ERRCODE = 'no_data_found';
        END IF;
        bases[i] := base;
    END LOOP;
    now_ms := extract(epoch FROM clock_timestamp()) * 1000;
    INSERT INTO records (topic, partition, "offset", appended_at, key, headers, value)
    SELECT run_topic[r.run], run_partition[r.run], bases[r.run] + r.rank, now_ms, r.key, r.headers, r.value
    FROM unnest(rec_run, rec_rank, rec_key, rec_headers, rec_value) AS r(run, rank, key, headers, value);
    -- Ticks are kept for an hour (one a second and partition).
    FOR i IN 1 .. cardinality(run_topic) LOOP
        IF run_topic[i] = 4 AND bases[i] % 256 = 0 AND bases[i] > 3600 THEN
            DELETE FROM ticks t
            WHERE t.topic = 4 AND t.partition = run_partition[i] AND t."offset" < bases[i] - 3600
                AND t.appended_at < now_ms - 3600000;
            UPDATE partitions p SET first_offset = (
                SELECT min(t."offset") FROM ticks t WHERE t.topic = 4 AND t.partition = run_partition[i]
            ) WHERE p.topic = 4 AND p.partition = run_partition[i];
        END IF;
    END LOOP;
    COMMIT;
    PERFORM pg_notify(channel, wake);
END
$$;

-- Renew `member`'s lease, give up what it has acknowledged (everything it holds but not `held`), take what is due to it
-- and free; returns its partitions, or NULL where another process of that name has the place (and `claim` is not set).
CREATE OR REPLACE FUNCTION heartbeat(
    in_group text, in_member text, in_token uuid, claim boolean, held integer[], lease interval, channel text
) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
    right_now timestamptz;
    place bigint;
    live bigint;
    total bigint;
    due_from bigint;
    due_to bigint;
    changed boolean := false;
    mine integer[];
BEGIN
    INSERT INTO groups VALUES (in_group) ON CONFLICT DO NOTHING;
    PERFORM FROM groups g WHERE g."group" = in_group FOR UPDATE;
    right_now := clock_timestamp();
    IF NOT claim AND EXISTS (
        SELECT FROM members m
        WHERE m."group" = in_group AND m.member = in_member AND m.token <> in_token AND m.expires > right_now
    ) THEN
        RETURN NULL;
    END IF;
    DELETE FROM members m WHERE m."group" = in_group AND m.expires <= right_now AND m.member <> in_member;
    changed := FOUND;
    UPDATE members m SET token = in_token, expires = right_now + lease
    WHERE m."group" = in_group AND m.member = in_member;
    IF NOT FOUND THEN
        INSERT INTO members VALUES (in_group, in_member, in_token, right_now + lease);
        changed := true;
    END IF;
    SELECT count(*) FILTER (WHERE m.member COLLATE "C" < in_member COLLATE "C"), count(*) INTO place, live
    FROM members m WHERE m."group" = in_group;
    SELECT i.partitions INTO total FROM identity i;
    due_from := place * (total / live) + least(place, total % live);
    due_to := (place + 1) * (total / live) + least(place + 1, total % live);
    DELETE FROM holders h WHERE h."group" = in_group AND (
        NOT EXISTS (SELECT FROM members m WHERE m."group" = in_group AND m.member = h.member)
        OR h.member = in_member AND h.partition <> ALL (held) AND (h.partition < due_from OR h.partition >= due_to));
    changed := changed OR FOUND;
    INSERT INTO holders SELECT in_group, p, in_member FROM generate_series(due_from, due_to - 1) AS p
    ON CONFLICT DO NOTHING;
    SELECT coalesce(array_agg(h.partition ORDER BY h.partition), '{}') INTO mine FROM holders h
    WHERE h."group" = in_group AND h.member = in_member AND h.partition >= due_from AND h.partition < due_to;
    IF changed THEN
        PERFORM pg_notify(channel, 'g ' || in_group);
    END IF;
    RETURN mine;
END
$$;

CREATE OR REPLACE FUNCTION leave(in_group text, in_member text, in_token uuid, channel text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM groups g WHERE g."group" = in_group FOR UPDATE;
    DELETE FROM members m WHERE m."group" = in_group AND m.member = in_member AND m.token = in_token;
    IF FOUND THEN
        DELETE FROM holders h WHERE h."group" = in_group AND h.member = in_member;
        PERFORM pg_notify(channel, 'g ' || in_group);
    END IF;
END
$$;
