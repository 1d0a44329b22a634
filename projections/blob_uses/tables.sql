CREATE TABLE blob_uses (
    execution_id uuid NOT NULL,
    blob_id text NOT NULL,
    queued_at timestamptz NOT NULL,
    workspace_id uuid NOT NULL,
    PRIMARY KEY (execution_id, blob_id)
);
CREATE INDEX blob_uses_by_blob ON blob_uses (blob_id);
