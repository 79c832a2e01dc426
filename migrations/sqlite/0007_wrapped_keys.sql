-- Whether a key of the server is encrypted under the operator's secret.
ALTER TABLE server_keys ADD COLUMN wrapped BOOLEAN NOT NULL DEFAULT FALSE;
