-- Housekeeping: what there is to do, and each time that it was done. A run is known by its job and the time (of the log)
-- at which it was due, so that two leaders cannot do it twice.

CREATE TABLE jobs (
    name     text        NOT NULL PRIMARY KEY,
    meaning  text        NOT NULL,
    timing   text        NOT NULL,                -- for people: "every 300 s", "at 03:00, Europe/Berlin"
    seconds  integer     NOT NULL,                -- a run that takes longer is cut off
    next_due timestamptz NOT NULL
);

CREATE TABLE job_runs (
    job        text        NOT NULL,
    due        timestamptz NOT NULL,
    result     text        NOT NULL,              -- asked, running, done, failed, timed_out, interrupted
    attempts   integer     NOT NULL DEFAULT 0,
    asked_by   text,                              -- who wanted it now; null: it was due
    runner     text,
    started_at timestamptz,
    ended_at   timestamptz,
    figures    jsonb       NOT NULL DEFAULT '{}',
    error      text,
    PRIMARY KEY (job, due)
);
CREATE INDEX job_runs_asked ON job_runs (due) WHERE result = 'asked';

-- A process is known by its name and its role: one process may have two roles. `starts`: when the latest processes of
-- that name began.
ALTER TABLE heartbeats
    DROP CONSTRAINT heartbeats_pkey,
    ADD PRIMARY KEY (member, role),
    ADD COLUMN process text NOT NULL DEFAULT '',
    ADD COLUMN version text NOT NULL DEFAULT '',
    ADD COLUMN starts timestamptz[] NOT NULL DEFAULT '{}';
